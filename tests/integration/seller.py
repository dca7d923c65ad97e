"""Places and pays N orders in a process of its own, and prints how long each took."""

import os
import sys
import time

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from tests.integration import shop

    conference = shop.conference_on_sale()
    for _ in range(int(sys.argv[1])):
        begun = time.monotonic()
        shop.pay(shop.order(shop.customer(), conference))
        print(f"sold in {time.monotonic() - begun:.3f} s", flush=True)  # noqa: T201 - read by the test
    print("done", flush=True)  # noqa: T201
