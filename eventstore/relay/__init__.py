"""The feed, published to a message broker: for several who share it, or who follow it while the site is away."""
