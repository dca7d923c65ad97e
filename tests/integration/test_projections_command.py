"""`manage.py projections`, as a person at a terminal and a script use it."""

import json
import os
import pty
import signal
import subprocess
import sys
from codecs import getincrementaldecoder
from contextlib import closing, suppress
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import DiscardedEvent, OperatorAction, ParkedEvent, SubscriberRow
from eventstore.operations.base import operations
from eventstore.subscriptions.subscriber import Rank
from ordering.domain.customer import ChangeCustomer
from ordering.models import CustomerProfile
from tests.integration import shop
from tests.integration.processes import BASE_DIR, eventually, worker

pytestmark = pytest.mark.usefixtures("clean")

NAME = "customer-profiles"
LAZY = "sales-by-day"
"""Fed by workers, of which most tests here have none."""


def run(*arguments, **options):
    out = StringIO()
    call_command("projections", *map(str, arguments), stdout=out, **options)
    return out.getvalue()


def answer(*arguments):
    return json.loads(run(*arguments, "--json"))


def refusal(*arguments):
    out = StringIO()
    with pytest.raises(CommandError) as refused:
        call_command("projections", *map(str, arguments), "--json", stdout=out)
    return json.loads(out.getvalue()) | {"exit": refused.value.returncode}


def actions():
    return list(OperatorAction.objects.order_by("id").values_list("operation", "target", "by", "reason"))


@pytest.fixture
def parked(poison):
    customer = shop.customer("Ada")
    dispatch(ChangeCustomer(customer_id=customer, name="poison"))
    return customer


class Terminal:
    """The command at a terminal of its own: what it shows, and somebody who types."""

    def __init__(self, *arguments: str, command: str = "projections") -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", command, *arguments],
            cwd=BASE_DIR,
            env={**os.environ, "COLUMNS": "200", "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self.shown = ""
        self._decoder = getincrementaldecoder("utf-8")()

    def shows(self, text: str) -> bool:
        with suppress(BlockingIOError, OSError):  # nothing new, or the other end is closed
            self.shown += self._decoder.decode(os.read(self._ours, 65536))
        return text in " ".join(self.shown.split())

    def ends(self) -> int | None:
        """With which code; what it shows meanwhile is read, or it would wait for ever to show it."""
        eventually(lambda: self.shows("") and self.process.poll() is not None)
        return self.process.returncode

    def types(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        os.close(self._ours)


def test_status_is_a_table_of_the_projections_and_of_everybody_when_asked():
    shop.customer()
    shown = run("status")
    assert NAME in shown
    assert "mail.welcome" not in shown
    assert "mail.welcome" in run("status", "--all")


def test_status_as_json_tells_where_everybody_is():
    shop.customer()
    by_name = {each["name"]: each for each in answer("status", "--all")}
    assert {"sale", "mail.welcome", NAME} <= by_name.keys()
    assert by_name[NAME]["checkpoint"] == store.head()
    assert (by_name[NAME]["state"], by_name[NAME]["pending"]) == ("running", 0)


def test_status_goes_on_showing_until_it_is_stopped():
    shop.customer()
    with closing(Terminal("status", "--watch")) as terminal:
        eventually(lambda: terminal.shows(NAME))
        SubscriberRow.objects.filter(name=NAME).update(status="paused")
        eventually(lambda: terminal.shows("paused"))
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ends() == 0


def test_gaps_are_ranges_with_counts(parked):
    run("pause", NAME)
    shop.customer()
    head = store.head()
    assert answer("gaps", NAME) == {
        "subscriber": NAME,
        "count": 2,
        "more": False,
        "ranges": [
            {"first": head - 1, "last": head - 1, "count": 1, "why": "parked", "more": False},
            {"first": head, "last": head, "count": 1, "why": "pending", "more": False},
        ],
    }
    assert f"{NAME}: 2 events missing" in run("gaps", NAME)


def test_every_operation_on_projections_is_a_subcommand_and_no_other():
    with pytest.raises(CommandError, match="invalid choice: 'explode'") as unknown:
        run("explode", NAME)
    for kind in operations:
        assert (f"'{kind.word}'" in str(unknown.value)) is (Rank.PROJECTION in kind.ranks)
    assert "rebuild" in str(unknown.value)
    assert "retry-command" not in str(unknown.value)


def test_a_subscriber_is_paused_and_resumed():
    shop.customer()
    assert run("pause", NAME, by="ada") == f"{NAME}: paused.\n"
    assert SubscriberRow.objects.get(name=NAME).status == "paused"
    assert answer("resume", NAME, "--by", "ada") == {"operation": "resume", "target": NAME, "outcome": "resumed"}
    assert actions() == [("pause", NAME, "ada", ""), ("resume", NAME, "ada", "")]


def test_parked_events_are_retried_and_what_fails_again_is_said(poison, parked):
    assert answer("retry", NAME, "--key", parked)["outcome"].endswith("1 failed again")
    poison.mend()
    assert answer("retry", NAME)["outcome"].startswith("1 of 1 keys are live again")
    assert CustomerProfile.objects.get().name == "poison"


def test_a_parked_event_is_discarded_with_a_reason(parked):
    position = ParkedEvent.objects.get().position
    arguments = ("discard", NAME, "--key", parked, "--positions", position)
    assert refusal(*arguments)["error"] == "reason-missing"
    answer(*arguments, "--reason", "a test customer")
    assert not ParkedEvent.objects.exists()
    assert DiscardedEvent.objects.get().reason == "a test customer"


def test_a_subscriber_is_skipped_ahead_and_split():
    shop.customer()
    run("pause", LAZY)
    head = store.head()
    assert answer("skip", LAZY, "--upto", head, "--reason", "a test")["outcome"] == f"skipped from 0 to {head}"
    assert answer("reshard", LAZY, "--shards", 3)["outcome"] == "resharded into 3"
    assert f"1/3 at {head}" in run("status")


def test_refusals_are_told_by_their_code_and_end_with_one(parked):
    assert refusal("rewind", NAME, "--to", 0, "--reason", "again") == {
        "error": "refused",
        "detail": f"{NAME} is not declared idempotent: applying events twice would falsify it. Rebuild.",
        "exit": 1,
    }
    assert refusal("gaps", "nobody")["error"] == "unknown-subscriber"
    assert refusal("pause", "nobody")["error"] == "unknown-subscriber"
    assert refusal("pause", "sale")["detail"] == "'sale' is no projection, it is one of the sagas."
    assert refusal("skip", LAZY, "--upto", "soon")["detail"] == "--upto: 'soon' is not a whole number."
    assert SubscriberRow.objects.get(name="sale").status == "running"


def test_a_script_gets_one_json_value_and_an_exit_code():
    shop.customer()
    command = [sys.executable, "manage.py", "projections", "resume", NAME, "--json"]
    done = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"error": "refused", "detail": f"{NAME} is running."}


@pytest.mark.parametrize(("types", "status", "exit_code"), [("y", "paused", 0), ("n", "running", 1)])
def test_a_person_is_shown_what_it_will_touch_and_asked(types, status, exit_code):
    shop.customer()
    with closing(Terminal("pause", NAME)) as terminal:
        eventually(lambda: terminal.shows("[y/n]"))
        assert terminal.shows("is not fed until somebody resumes it")
        assert SubscriberRow.objects.get(name=NAME).status == "running"
        terminal.types(f"{types}\n")
        assert terminal.ends() == exit_code
    assert SubscriberRow.objects.get(name=NAME).status == status


def test_retrying_more_than_can_be_waited_for_is_left_to_workers_and_watched(poison, settings):
    settings.EVENTSTORE_HALT_AT = 100
    customers = [shop.customer("Ada") for _ in range(51)]
    for customer in customers:
        dispatch(ChangeCustomer(customer_id=customer, name="poison"))
    assert ParkedEvent.objects.count() == 51
    poison.mend()
    with closing(Terminal("retry", NAME, "--yes")) as terminal:
        eventually(lambda: terminal.shows("workers try 1 more"))
        eventually(lambda: terminal.shows("0/1"))
        assert ParkedEvent.objects.count() == 1
        with worker(queues="live", concurrency=1):
            eventually(lambda: terminal.shows("1/1"), 60)
            assert terminal.ends() == 0
    assert not ParkedEvent.objects.exists()
