"""A soak: Boxoffice sells while somebody kills. Then it is left alone, and judged.

Everything that `make run` runs, in a home of its own. Buyers register, order, pay, cancel and let time run out over
HTTP. Meanwhile programs, their children, sessions of PostgreSQL, all of PostgreSQL and the broker are killed with
SIGKILL, or stopped for some seconds. At the end nothing that was answered may be lost, nothing done twice, and nothing
left for a person to do or to read.

With `--money` they pay in parts, twice, too much, late and for what nobody knows, change their seats and cancel for a
fee, while staff give money back, see to refunds that failed and cancel whole conferences. Then the books are judged.
"""

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import django

from eventstore.transient_errors import is_infrastructure
from tests.chaos.soak import printed
from tests.chaos.soak.reaper import Reaper
from tests.chaos.soak.site import Site, site

BUYERS = 4
REST_WITHIN = 240.0
"""Seconds to come to rest in: a lease and an incident last a minute each, a restart waits half of one."""

LOOK_EVERY = 1.0
SHOWN, LINES, WIDTH = 10, 8, 300
"""How much is shown of what is wrong: so many of each kind, of these so many lines, of these so many characters."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="of killing (5)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="chooses what is killed (another one each time)")
    parser.add_argument("--buyers", type=int, default=BUYERS, help=f"who buy at the same time ({BUYERS})")
    parser.add_argument("--money", action="store_true", help="do all that is done with money, and judge the books")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--log", type=Path, help="keep what all programs printed in this file")
    options = parser.parse_args()
    say(f"seed {options.seed}: starting")
    with site() as started:
        try:
            result = soak(started, options)
        finally:
            if options.log:
                options.log.write_text(started.log.read_text())
    show(result, as_json=options.json)
    return 1 if result["wrong"] else 0


def soak(site: Site, options: argparse.Namespace) -> dict[str, Any]:
    """Figures, and what is wrong."""
    os.environ.update(site.environment | {"LOG_LEVEL": "WARNING"})
    django.setup()
    from tests.chaos.soak import verdict
    from tests.chaos.soak.buyers import Buyer, Buyers, Monitor, cookie_of_staff
    from tests.chaos.soak.money import Payer, Staff
    from tests.integration import shop

    secret = site.environment.get("PAYMENT_WEBHOOK_SECRET") or site.environment["SECRET_KEY"]
    buyers = Buyers(site.port, secret, [shop.conference_on_sale(capacity) for capacity in (100, 20_000)])
    staff = Staff(buyers) if options.money else None
    reaper = Reaper(options.seed, site)
    monitor = Monitor(site.port, buyers.ending, cookie_of_staff())
    monitor.start()
    buyers.start(Payer if staff else Buyer, options.seed, options.buyers)
    if staff:
        staff.start()
    say(f"killing for {options.minutes:g} minutes")
    reaper.reap(options.minutes * 60)
    left_alone = time.monotonic()
    buyers.stop(REST_WITHIN)
    say("left alone; coming to rest")
    restless = until_at_rest(lambda: [*verdict.unrest(), *(staff.unrest() if staff else ())], REST_WITHIN)
    if staff:
        staff.stop()
    seconds = time.monotonic() - left_alone
    say("judging")
    wrong = {"it comes to rest": restless, "every call is answered": buyers.absurd}
    broken = (f"{times} × {what}" for what, times in monitor.statuses.items() if what.startswith("500"))
    wrong["no page is broken"] = list(broken)
    wrong |= verdict.judge(buyers.notes, site.mails, money=options.money)
    log = site.log.read_text(errors="replace")
    wrong["nobody has a traceback to read"] = [str(each) for each in printed.tracebacks(log)]
    moments = sorted(note.at for note in buyers.notes)
    return {
        "seed": options.seed,
        "minutes": options.minutes,
        "answered": {what: buyers.count(what) for what in verdict.LEADS_TO},
        "refused": dict(buyers.refusals),
        "asked again": dict(buyers.repeated),
        "monitored": dict(sorted(monitor.statuses.items())),
        "mails": len(site.mails.received),
        **({"staff": dict(staff.acts)} if staff else {}),
        "acts": dict(reaper.acts),
        "restarts": dict(printed.restarts(log)),
        "longest time without an answer, s": round(max((b - a for a, b in pairwise(moments)), default=0.0), 1),
        "to rest, s": round(seconds, 1),
        "warnings": dict(printed.warnings(log).most_common()),
        "diary": reaper.diary,
        "held": [what for what, faults in wrong.items() if not faults],
        "wrong": {what: faults for what, faults in wrong.items() if faults},
    }


def until_at_rest(unrest: Callable[[], list[str]], seconds: float) -> list[str]:
    """Waits until nothing goes on; answers what still does after so many seconds."""
    from django.db import connections

    deadline = time.monotonic() + seconds
    while True:
        try:
            left = unrest()
        except Exception as error:
            if not is_infrastructure(error):
                raise
            connections.close_all()
            left = [f"the database: {error}"]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(LOOK_EVERY)


def show(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return
    for name, value in result.items():
        if name in ("diary", "held", "wrong"):
            continue
        print(f"{name}: {value}" if not isinstance(value, dict) else f"{name}:")
        for key, number in value.items() if isinstance(value, dict) else ():
            print(f"  {number:>6} {key}")
    print("\n".join(result["diary"]))
    for what in result["held"]:
        print(f"held: {what}")
    for what, faults in result["wrong"].items():
        print(f"WRONG: {what}: {len(faults)}", *map(shortened, faults[:SHOWN]), sep="\n  ")
    print(f"seed {result['seed']}: {'BROKEN' if result['wrong'] else 'everything held'}")


def shortened(fault: str) -> str:
    """The end of a traceback tells most; `--json` and `--log` have all of it."""
    lines = [line if len(line) <= WIDTH else f"{line[:WIDTH]}…" for line in fault.splitlines()]
    return "\n  ".join(lines if len(lines) <= LINES else [*lines[:2], "    …", *lines[-LINES:]])


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
