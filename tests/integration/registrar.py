"""Registers customers under given addresses in a process of its own, and prints those that it got."""

import os
import sys

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from eventstore.commands import dispatch
    from eventstore.context import new_id
    from ordering.domain.customer import RegisterCustomer
    from ordering.domain.errors import EmailTaken

    print("ready", flush=True)  # noqa: T201 - read by the test
    sys.stdin.readline()
    for email in sys.argv[1:]:
        try:
            dispatch(RegisterCustomer(customer_id=new_id(), name="Ada", email=email))
        except EmailTaken:
            continue
        print(f"got {email}", flush=True)  # noqa: T201
