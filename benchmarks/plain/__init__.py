"""The sale as plain Django: ordinary models that say how things stand, changed in place, and services that change them.

It gives the same promises where tables can: no seat is sold twice, every step is a transaction, every order has a
history, and a mail is asked for in the transaction that confirms. Nothing here is installed but by a benchmark.
"""
