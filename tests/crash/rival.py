"""Somebody else's orders, in a process that remembers nothing: of two times three seats of each conference."""

import sys
from uuid import UUID

import django

if __name__ == "__main__":
    django.setup()

    from tests.integration import shop

    customer_id, *conferences = map(UUID, sys.argv[1:])
    for conference_id in conferences:
        for _ in range(2):
            shop.order(customer_id, conference_id, seats=3)
