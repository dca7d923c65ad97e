"""`manage.py watches`, as a person at a terminal and a script use it."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import Incident, OperatorAction, SubscriberRow
from eventstore.operations.base import operations
from eventstore.operations.incidents import Resolve
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from ordering.domain.conference_changes import ChangeCapacity
from tests.integration import shop
from tests.integration.test_watches import reserve

pytestmark = pytest.mark.usefixtures("clean")

SEATS, BOOKS = "watch.seats", "watch.books"


def run(*arguments):
    out = StringIO()
    call_command("watches", *map(str, arguments), stdout=out)
    return out.getvalue()


def answer(*arguments):
    return json.loads(run(*arguments, "--json"))


def refusal(*arguments):
    """What is printed, and with what the command ends."""
    out = StringIO()
    with pytest.raises(CommandError) as refused:
        call_command("watches", *map(str, arguments), "--json", stdout=out)
    return json.loads(out.getvalue()), refused.value.returncode, str(refused.value)


def follow():
    """As workers do."""
    feeding.catch_up([*registry])


@pytest.fixture
def oversold():
    """A conference with a seat more given out than it has, and the event that did it."""
    conference = shop.conference_on_sale(capacity=3)
    shop.order(shop.customer(), conference, 3)
    broke = reserve(conference, 1)
    follow()
    return conference, broke


def test_watches_are_listed_with_how_they_are_and_what_is_broken(oversold):
    conference, broke = oversold
    seats, books = sorted(answer("list"), key=lambda each: each["finds"])
    assert (seats["name"], seats["state"], seats["finds"]) == (SEATS, "running", "oversold")
    assert seats["position"] == store.head()
    (incident,) = seats["incidents"]
    assert incident["about"] == f"seat type standard of conference {conference}"
    assert f"at position {broke.position}" in incident["text"]
    assert (books["name"], books["incidents"]) == (BOOKS, [])
    shown = run("list")
    assert f"seat type standard of conference {conference}" in shown
    assert f"seats.reserved at position {broke.position}" in shown


def test_a_watch_that_nobody_has_fed_has_not_begun():
    SubscriberRow.objects.all().delete()
    assert {each["state"] for each in answer("list")} == {"not begun"}


def test_a_watch_asked_once_more_says_what_is_broken_since_when_and_changes_nothing(oversold):
    conference, broke = oversold
    Incident.objects.all().delete()
    told, code, said = refusal("check", SEATS)
    assert (code, said) == (1, "1 that must hold does not.")
    (seats,) = told
    assert (seats["watch"], seats["after"], seats["upto"]) == (SEATS, 0, store.head())
    assert seats["broken"] == [
        {
            "about": f"seat type standard of conference {conference}",
            "fault": "4 seats are given out, and there are 3",
            "type": "seats.reserved",
            "position": broke.position,
            "stream_id": str(conference),
        }
    ]
    assert not Incident.objects.exists()
    with pytest.raises(CommandError):
        run("check")


def test_watches_are_asked_from_a_position_on(oversold):
    _, broke = oversold
    asked = answer("check", SEATS, "--after", broke.position)
    assert asked == [{"watch": SEATS, "after": broke.position, "upto": store.head(), "judged": 0, "broken": []}]
    assert "All of it holds" in run("check", "--after", broke.position)


def test_what_a_later_event_has_set_right_is_not_broken():
    conference = shop.conference_on_sale(capacity=3)
    reserve(conference, 4)
    dispatch(ChangeCapacity(conference_id=conference, seat_type="standard", capacity=4))
    follow()
    assert [each["broken"] for each in answer("check")] == [[], []]


def test_nothing_that_a_watch_has_not_come_to_yet_is_judged(oversold):
    SubscriberRow.objects.filter(subscriber=SEATS).update(checkpoint=0)
    assert answer("check", SEATS) == [{"watch": SEATS, "after": 0, "upto": 0, "judged": 0, "broken": []}]


def test_a_watch_is_paused_resumed_and_goes_back_like_a_projection(oversold):
    run("pause", SEATS, "--by", "ada")
    assert [each["state"] for each in answer("status") if each["name"] == SEATS] == ["paused"]
    run("rewind", SEATS, "--to", 0, "--reason", "the rule has changed", "--by", "ada")
    assert SubscriberRow.objects.get(subscriber=SEATS).checkpoint == 0
    run("resume", SEATS, "--by", "ada")
    follow()
    assert Incident.objects.count() == 1
    assert [each.operation for each in OperatorAction.objects.order_by("id")] == ["pause", "rewind", "resume"]


def test_what_a_watch_has_found_is_resolved_by_its_number(oversold):
    (incident,) = (found for each in answer("list") for found in each["incidents"])
    assert str(incident["id"]) in run("list")
    assert refusal("resolve-incident", incident["id"])[0]["error"] == "reason-missing"
    run("resolve-incident", incident["id"], "--reason", "a chair was found", "--by", "ada")
    assert not [found for each in answer("list") for found in each["incidents"]]
    assert Incident.objects.get().ended_at
    record = OperatorAction.objects.get(refused=False)
    assert (record.operation, record.target, record.by) == ("resolve-incident", str(incident["id"]), "ada")


@pytest.mark.parametrize(
    ("arguments", "code", "detail"),
    [
        (("check", "nobody"), "unknown-subscriber", "No watch is declared as 'nobody'."),
        (("check", "journal"), "unknown-subscriber", "'journal' is no watch, it is one of the projections."),
        (("check", "--after", "soon"), "refused", "--after: 'soon' is not a whole number."),
        (
            ("resolve-incident", "17", "--reason", "it is mended"),
            *("refused", "There is no incident '17' that this could be done to."),
        ),
        (("gaps", "sale"), "unknown-subscriber", "'sale' is no watch, it is one of the sagas."),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, code, detail):
    told, exit_code, _ = refusal(*arguments)
    assert (told, exit_code) == ({"error": code, "detail": detail}, 1)


def test_the_operations_are_those_on_watches():
    with pytest.raises(CommandError, match="invalid choice") as unknown:
        run("explode")
    for kind in operations:
        offered = Rank.WATCH in kind.ranks or kind is Resolve
        assert (f"'{kind.word}'" in str(unknown.value)) is offered
