"""The first administrator, whom `config.prepare` makes and `config.screen` shows."""

NAME = "admin"
PASSWORD = "admin-password"  # the name of the secret
