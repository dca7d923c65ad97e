"""What other apps may want to hear of at once; who missed it finds out by looking."""

from django.dispatch import Signal

moved = Signal()
"""What a `subscriber` has applied grew otherwise than by being fed: keys were healed, a generation was swapped in."""
