"""A process is killed at every step between an event and what it leads to, and then others finish its work.

Real workers act on real servers: the victim is killed with SIGKILL as it says the line of the log that the step is
known by, inside its transaction or just after it. What it was at is then in the database or it isn't; everything else
follows from that. All that a sale leads to happens, and only one thing may happen twice: a mail whose sender died when
the server had taken it and the ledger didn't know yet.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from eventstore import database, doorbell, store, tasks
from eventstore.context import new_id
from eventstore.testing import only_handlers
from ordering.models import ConferenceSummary, OrderSummary
from sagas import outbox
from sagas.effects import delivery, preconditions
from sagas.models import Delivery, OutboxCommand, Timer
from tests.chaos.accounts import Accounts
from tests.crash import aftermath
from tests.crash.death import Death, who_died
from tests.crash.once import note_once
from tests.crash.sales import ENDS, SEATS, Sales
from tests.integration.eventstore.probes import registered
from tests.integration.processes import ALONE, MailServer, Program, eventually, mail_server, program, worker

pytestmark = pytest.mark.usefixtures("clean")

APP, DYING = "tests.crash.app", "tests.crash.dying"
PAUSE = 0.2
"""Seconds between two things that people do."""

VICTIM = "victim"
"""What the sessions of the process are called that is to die."""

LONG_AGO = "2000-01-01T00:00:00Z"

MAIL, ONCE = "effect=mail.order-confirmation", f"effect={note_once.name}"
RUNNING = {"effect_begins", "effect_acted", "effect_noted"}
"""Where an attempt has begun, as everybody can see, and its outcome is not written down."""

ACTED = {"effect_acted", "effect_noted"}

REQUESTS = (
    Death("request_carried_out", "command=order.place"),
    Death("request_carried_out", "command=payment.accept", nth=2),
    Death("request_committed", "command=order.place", nth=2),
    Death("request_committed", "command=payment.accept"),
    Death("batch_applied", nth=8),
    Death("batch_committed", nth=8),
    Death("saga_reacted", nth=3),
    Death("command_taken", "command=order.credit-payment"),
    Death("command_carried_out", "command=payment.request", nth=2),
    Death("command_refused"),
    Death("command_committed", "command=seats.reserve"),
)
WORKERS = (
    Death("batch_applied", nth=2),
    Death("batch_committed", nth=2),
    Death("saga_reacted", nth=2),
    Death("command_taken", "command=seats.reserve"),
    Death("command_carried_out", "command=order.credit-payment"),
    Death("command_carried_out", "command=payment.request", alone=True),
    Death("command_refused"),
    Death("command_committed", "command=payment.request"),
    Death("timers_fired"),
    Death("timers_committed", alone=True),
)
EFFECTS = (
    Death("effect_taken", MAIL, alone=True),
    Death("effect_begins", MAIL),
    Death("effect_acted", MAIL),
    Death("effect_acted", "effect=mail.welcome", alone=True),
    Death("effect_noted", MAIL),
    Death("effect_ended", MAIL),
    Death("effect_taken", ONCE),
    Death("effect_begins", ONCE),
    Death("effect_acted", ONCE),
    Death("effect_noted", ONCE, alone=True),
    Death("effect_ended", ONCE),
)

ALWAYS = {"request_committed", "batch_applied", "command_carried_out", "effect_acted"}
"""The deaths by which most could be lost, or done twice: every run has these, `make test-long` all the others."""


def as_parameters(deaths: Iterable[Death]) -> list[Any]:
    return [pytest.param(death, marks=[] if death.event in ALWAYS else pytest.mark.long) for death in deaths]


class Scene(NamedTuple):
    """Sales that begin, the death in their way, and what they lead to outside: mails, and lines in a file of notes."""

    sales: Sales
    death: Death
    trace: Path
    mails: MailServer
    notes: Path


@pytest.fixture
def scene(clean: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: Death) -> Iterator[Scene]:
    trace, notes = tmp_path / "trace", tmp_path / "notes"
    notes.touch()
    with mail_server() as (mails, url), registered(note_once):
        for name, value in {"EMAIL_URL": url, "NOTES": str(notes), **death.environment(trace)}.items():
            monkeypatch.setenv(name, value)
        yield Scene(Sales(new_id()), death, trace, mails, notes)


@pytest.mark.parametrize("death", as_parameters(REQUESTS), ids=str)
def test_workers_finish_what_a_request_began_that_was_killed(scene):
    with program("-m", "tests.crash.client", str(scene.sales.seed), PGAPPNAME=VICTIM) as victim:
        eventually(lambda: died(scene, victim), 60, "a death")
    with others("live,effects,clock"):
        come_to_rest(scene)
    all_is_done_once(scene, begun=[])


@pytest.mark.parametrize("death", as_parameters(WORKERS), ids=str)
def test_a_worker_finishes_what_another_began_that_was_killed(scene):
    all_is_done_once(scene, begun=survive(scene))


@pytest.mark.parametrize("death", as_parameters(EFFECTS), ids=str)
def test_a_side_effect_keeps_its_promise_though_its_worker_is_killed(scene):
    begun = survive(scene)
    effects = [row.effect for row in begun]
    assert effects.count(effect_of(scene.death)) == (scene.death.event in RUNNING)
    all_is_done_once(scene, begun)


def survive(scene: Scene) -> list[Delivery]:
    """Let a worker do it all by itself until it is killed; then the rest of it, or another one, goes on. Answers the
    side effects that were begun by whoever died and had no outcome.
    """
    with worker(app=DYING, concurrency=3, PGAPPNAME=VICTIM) as victim:

        def killed() -> bool:
            go_on(scene)
            return died(scene, victim)

        with only_handlers():
            scene.sales.open()
        eventually(killed, 60, "a death", pause=PAUSE)
        begun = let_lease_pass(scene)
        if scene.death.alone:
            with others("clock"):
                come_to_rest(scene)
    if not scene.death.alone:
        with others("live,effects,clock"):
            come_to_rest(scene)
    return begun


@contextmanager
def others(queues: str) -> Iterator[None]:
    """A worker of these queues in which the clock runs too: one program to start, and not three. Whoever answers a bell
    stays for a moment, so there are more at once than bells that ring.
    """
    schedule, name = f"{os.environ['BOXOFFICE_HOME']}/beat-{os.urandom(4).hex()}", f"{os.urandom(4).hex()}@%h"
    pool = ("-Q", queues, "-c", "8", "-B", "-s", schedule, "-n", name)
    with program("-m", "celery", "-A", APP, "worker", *ALONE, *pool):
        yield


def come_to_rest(scene: Scene) -> None:
    def at_rest() -> bool:
        go_on(scene)
        return scene.sales.are_over() and not aftermath.unrest()

    try:
        eventually(at_rest, 90, "rest", pause=PAUSE)
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *aftermath.unrest(), str(scene.sales.happened())])) from None


def go_on(scene: Scene) -> None:
    """People do what they do next, and leave what follows from it to workers. These hear of it, lest they need the
    clock, which would fire timers too.
    """
    with only_handlers():
        scene.sales.go_on()
    tasks.ring_all()
    if OutboxCommand.objects.filter(status="pending").exists():
        doorbell.ring(outbox.BELL, outbox.TASK)
    for effect in delivery.effects_here():
        if preconditions.is_due(effect):
            effect.ring()


def died(scene: Scene, victim: Program) -> bool:
    assert scene.trace.exists() or victim.process.poll() is None, victim.output
    return who_died(scene.trace) is not None and (scene.death.alone or not has_sessions())


def has_sessions() -> bool:
    """Whether PostgreSQL still does what the victim asked it for last."""
    with database.cursor() as cursor:
        found = cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [VICTIM]).fetchone()
    return found != (0,)


def let_lease_pass(scene: Scene) -> list[Delivery]:
    """As if the minute had passed for which the dead hold what they were at; who lives on holds its own still."""
    theirs = Delivery.objects.filter(status="running")
    if scene.death.alone:
        theirs = theirs.filter(owner__endswith=f":{who_died(scene.trace)}")
    begun = list(theirs)
    Delivery.objects.filter(pk__in=[row.pk for row in begun]).update(lease_until=LONG_AGO)
    return begun


def effect_of(death: Death) -> str:
    return death.fields.removeprefix("effect=")


def all_is_done_once(scene: Scene, begun: list[Delivery]) -> None:
    """But for what was begun: of that nobody knew whether it was done."""
    everything_happened_once(scene)
    what_is_read_is_what_happened(scene)
    mails_arrived(scene, [row.effect for row in begun])
    notes_were_taken(scene, [row.position for row in begun if row.effect == note_once.name])


def everything_happened_once(scene: Scene) -> None:
    accounts = Accounts()
    assert accounts.absurd == []
    assert list(accounts.broken_promises()) == []
    orders = {sale.fate: accounts.orders[sale.order_id] for sale in scene.sales.all}
    assert {fate: (order["status"], order["payment_status"]) for fate, order in orders.items()} == ENDS
    assert list(aftermath.done_otherwise_than_once()) == []
    assert list(aftermath.told_otherwise_than_once()) == []
    assert list(aftermath.untold()) == []
    assert list(aftermath.ledger_misses()) == []


def what_is_read_is_what_happened(scene: Scene) -> None:
    rows = {row.pk: (row.status, row.payment_status) for row in OrderSummary.objects.all()}
    assert rows == {sale.order_id: ENDS[sale.fate] for sale in scene.sales.all}
    confirmed = sum(order == "confirmed" for order, _ in ENDS.values())
    seats = ConferenceSummary.objects.get(pk=scene.sales.conference_id).seat_types["standard"]
    assert seats["available"] == SEATS - confirmed
    timers = {sale.fate: Timer.objects.get(key=sale.order_id).status for sale in scene.sales.all}
    assert timers == dict.fromkeys(ENDS, "cancelled") | {"never paid": "fired"}


def mails_arrived(scene: Scene, begun: list[str]) -> None:
    """Each once; one that was begun perhaps twice, under the same id, and surely so if it had been sent."""
    arrived, expected = aftermath.mails_arrived(scene.mails), aftermath.mails_expected()
    assert arrived.keys() == expected.keys()
    repeated = {expected[key]: times for key, times in arrived.items() if times > 1}
    assert repeated.keys() <= {*begun}
    assert set(repeated.values()) <= {2}
    if effect_of(scene.death) in expected.values():
        assert (effect_of(scene.death) in repeated) == (scene.death.event in ACTED)


def notes_were_taken(scene: Scene, begun: list[int]) -> None:
    """Never twice; and of what was begun nobody knows, so it is not tried again."""
    taken = Counter(scene.notes.read_text().split())
    ledger = {row.position: row.status for row in Delivery.objects.filter(effect=note_once.name)}
    assert ledger == dict.fromkeys(ledger, "done") | dict.fromkeys(begun, "in doubt")
    for recorded in store.read(0, store.head(), note_once.types, 100):
        times = taken[str(note_once.idempotency_key(recorded))]
        if recorded.position not in begun:
            assert times == 1
        elif effect_of(scene.death) == note_once.name:
            assert times == (scene.death.event in ACTED)
        else:
            assert times <= 1
