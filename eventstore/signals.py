"""What other apps may want to hear of at once."""

from django.dispatch import Signal

moved = Signal()
"""What a `subscriber` has applied grew otherwise than by being fed: keys were healed, a generation was swapped in.
Who missed it finds out by looking.
"""

resolved = Signal()
"""Staff have resolved an `incident` that would not be over by itself; who tells of incidents tells of it in the same
transaction.
"""

retired = Signal()
"""A `subscriber` that the code no longer has is retired: what other apps keep of it goes in the same transaction, and
they note in `gone` how much of what that was.
"""
