"""How long after its commit an event has arrived at all who follow the feed, and what they cost.

Five hundred follow one process of the site, as `make run` starts it, half of them in lines and half in server-sent
events, and one more who never reads while a long log is told. A client appends an event at a time at a steady pace.
That none of them misses an event, or meets one twice, is not measured but promised.
"""

import argparse
import os
import time
from typing import NamedTuple

import django
import psutil

from benchmarks import report
from benchmarks.clients import Done, Turn, clients
from benchmarks.environment import Variables, servers
from benchmarks.errors import promise
from benchmarks.followers import Committed, Followers, Heard, Site, following, stuck
from benchmarks.history import load
from benchmarks.report import Report, Target, say
from config.bundled.valkey import free_port
from config.run import wait_until_answered

HOST = "127.0.0.1"
RATE = 100  # events a second
FIRST = 32  # whose coming is not counted: each thread of the site has a connection after that
MEGABYTE = 1e6
SETTLED_WITHIN = 60.0  # seconds
QUIET = 0.2  # seconds of CPU in a second: the site is at rest

TARGETS = {
    "p99_ms": Target(at_most=250, meaning="commit to read by a follower, 99 of 100 events"),
    "missed": Target(at_most=0, meaning="events that a follower was not told"),
    "repeated": Target(at_most=0, meaning="events that a follower was told twice"),
}
MEANING = {
    "p50, p99": "from when the writer's COMMIT was answered until a follower had read the event, of all events and all"
    " followers but the stuck one; these are connections of one process beside the site",
    "memory_mb_500_followers": "what the resident memory of the site grew by when they came, in 10^6 bytes",
    "memory_mb_stuck": "what it grew by from then until the last event, at most: somebody who never reads was told the"
    " whole log meanwhile, and the newest events are kept for all",
    "stuck_due_mb": "the events that the stuck one was to be told when it came",
    "cpu_percent": "of one core, by all of the site, while events were committed",
    "rate": f"events a second; well below {RATE}, the machine was too busy for the other figures to mean anything",
}


class Usage(NamedTuple):
    """Of the processes of the site: seconds of CPU, and bytes that are resident."""

    cpu: float
    memory: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=20.0, help="how long events are committed (20)")
    parser.add_argument("--followers", type=int, default=500, help="how many follow and read (500)")
    parser.add_argument(
        "--events", type=int, default=100_000, help="that are there before, a multiple of five (100,000)"
    )


def run(options: argparse.Namespace) -> Report:
    """Whoever follows comes before whoever is stuck, and stays."""
    say("starting servers")
    with servers() as environment:
        variables, port = environment.database("feed"), free_port()
        os.environ.update(variables)
        django.setup()
        measured = report.circumstances(
            variables["DATABASE_URL"],
            seconds=options.seconds,
            followers=options.followers,
            events_before=options.events,
            programs="the site alone",
            meaning=MEANING,
        )
        load(variables["DATABASE_OWNER_URL"], options.events)
        environment.keep(("site",), variables, port)
        wait_until_answered(HOST, port)
        return _report(_measure(options, variables, Site(port, _token())), measured)


def _token() -> str:
    from django.contrib.auth.models import Permission, User
    from knox.models import AuthToken

    user = User.objects.create(username="follower")
    user.user_permissions.add(Permission.objects.get(codename="view_storedevent"))
    token: str = AuthToken.objects.create(user=user)[1]
    return token


def _measure(options: argparse.Namespace, variables: Variables, site: Site) -> dict[str, float]:
    turn = Turn("benchmarks.writers:Append", options.seconds, (("events", 1),), every=1 / RATE)
    with clients(1, variables) as writers:
        writers.prepare(turn, 1)
        after = _end()
        with following(site, FIRST, after):
            pass
        before = _usage(site)
        say(f"{options.followers} followers come")
        with following(site, options.followers, after) as followers:
            came = _usage(site)
            with stuck(site, 0):
                _settle(site)
                say(f"committing {RATE} events a second for {options.seconds:g} s")
                began, begin = _usage(site), time.monotonic()
                done = writers.take(turn, 1)
                ended, seconds = _usage(site), time.monotonic() - begin
                heard = _heard(followers, after, done)
                last = _usage(site)
    return {
        **heard._asdict(),
        "memory_mb_500_followers": (came.memory - before.memory) / MEGABYTE,
        "memory_mb_stuck": (max(ended.memory, last.memory) - came.memory) / MEGABYTE,
        "stuck_due_mb": _told_mb(after),
        "cpu_percent": 100 * (ended.cpu - began.cpu) / seconds,
        "rate": done.rate,
    }


def _heard(followers: Followers, after: int, done: Done) -> Heard:
    heard = followers.heard(Committed(after + 1, _end() - after, done.moments[0]))
    promise(heard.missed == 0, f"{heard.missed} events were missed.")
    promise(heard.repeated == 0, f"{heard.repeated} events were told twice.")
    return heard


def _end() -> int:
    """One client appends, so positions have no gaps."""
    from eventstore import store

    return store.head()


def _told_mb(upto: int) -> float:
    """What the events up to this position come to, by their average."""
    from eventstore import feed

    entries = feed.read(0, feed.Wanted(), 1_000).entries
    return sum(len(entry.content) for entry in entries) / len(entries) * upto / MEGABYTE


def _usage(site: Site) -> Usage:
    """Of the program that listens at the site's port, and its children."""
    program = next(each for each in psutil.Process().children() if f"--port={site.port}" in each.cmdline())
    processes = [program, *program.children(recursive=True)]
    return Usage(
        sum(sum(each.cpu_times()[:2]) for each in processes), sum(each.memory_info().rss for each in processes)
    )


def _settle(site: Site) -> None:
    """Until who is stuck has been sent what there is room for: who follows costs little while nothing comes."""
    deadline, cpu = time.monotonic() + SETTLED_WITHIN, _usage(site).cpu
    while True:
        time.sleep(1)
        before, cpu = cpu, _usage(site).cpu
        if cpu - before < QUIET:
            return
        promise(time.monotonic() < deadline, f"The site is still at work after {SETTLED_WITHIN:.0f} s.")


def _report(figures: dict[str, float], measured: dict[str, object]) -> Report:
    made = report.table("Following the feed", "", "")
    for name, unit in {
        "p50_ms": "ms from commit, half of the events",
        "p99_ms": "ms from commit, 99 of 100 events",
        "memory_mb_500_followers": "MB for who follows",
        "memory_mb_stuck": "MB more while one is stuck",
        "cpu_percent": "% of a core, the site",
    }.items():
        made.add_row(unit, f"{figures[name]:,.1f}")
    return Report("Following the feed", {}, figures, measured, targets=TARGETS, tables=[made])
