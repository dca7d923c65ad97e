"""A saga is told its history again by the code that runs now, which says what it would do, and does none of it."""

import json
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from psycopg import sql
from redis import Redis

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import ParkedEvent, StoredEvent
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Discard, Pause, Retry, Skip
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from ordering.domain.conference_changes import CancelConference
from ordering.domain.payment import PaymentAccepted
from ordering.domain.values import Money
from ordering.processes.booking import Booking
from sagas import rehearsal
from sagas.models import Instance
from sagas.saga import Saga
from sagas.saga import on as reacts
from sagas.steps import After, End, Send
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.sagas import test_heard_late as late
from tests.integration.sagas.parcels import (
    Labelled,
    Packed,
    SendOff,
    Shipping,
    following,
    parcel,
)

WHO = "anna"

expired = late.expired


def rehearse(*arguments):
    """What is said, what is complained about, and the exit code."""
    out = StringIO()
    try:
        call_command("sagas", "rehearse", *map(str, arguments), stdout=out)
    except CommandError as error:
        return out.getvalue(), str(error), error.returncode
    return out.getvalue(), "", 0


def found(saga="shipping", *arguments):
    """The same, as a program is told."""
    out, _, code = rehearse(saga, *arguments, "--json")
    return json.loads(out) | {"code": code}


@contextmanager
def changed(saga, **members):
    """The code of a saga has other members now. It is not deployed: nobody is fed by it."""
    live = registry[saga.name]
    kept = {name: member for name, member in vars(saga).items() if name not in {"__dict__", "__weakref__"}}
    former = {"former": members.pop("former")} if "former" in members else {}
    kind = type(saga.__name__, (Saga,), kept | members, name=saga.name, version=live.version + 1, **former)
    new, declared = kind(), list(registry)
    registry.unregister(live)
    registry.register(new)
    try:
        yield
    finally:
        registry.unregister(*registry)
        registry.register(*declared)


@pytest.fixture
def shipping(parcels):
    with following(Shipping()):
        yield


@pytest.fixture
def shipped(shipping):
    """A parcel that was sent off, and one that has no label yet."""
    both = parcel(Packed, Labelled), parcel(Packed)
    bring_to_rest(deliver=False)
    return both


def everything():
    """Every table with the number of its rows, and a hash of what they say."""
    kept = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT schemaname, relname FROM pg_stat_user_tables ORDER BY 1, 2")
        for table in cursor.fetchall():
            asked = "SELECT count(*), md5(string_agg(row::text, ',' ORDER BY row::text)) FROM {} AS row"
            cursor.execute(sql.SQL(asked).format(sql.Identifier(*table)).as_string())
            kept[table] = cursor.fetchone()
    return kept


def broker(settings):
    with Redis.from_url(settings.REDIS_URL) as asked:
        return sorted(asked.keys())


def does_nothing(self, state, event, meta): ...


def ends(self, state, event, meta):
    yield End()


mark_packed = reacts(Packed, key="parcel_id", starts=True)


@pytest.fixture
def simulated(clean):
    """All that may happen to orders has happened, and a conference was cancelled."""
    call_command("simulate", orders=60, seed=7, stdout=StringIO(), stderr=StringIO())
    conference = shop.conference_on_sale()
    shop.pay(shop.order(shop.customer(), conference))
    shop.order(shop.customer(), conference)
    dispatch(CancelConference(conference_id=conference, reason="a trial"))
    bring_to_rest(deliver=False)


@pytest.mark.parametrize("name", ["booking", "sale", "conference-cancellation"])
def test_a_saga_that_is_as_it_was_has_no_difference_in_all_that_is_simulated(simulated, name):
    told = found(name)
    assert (told["code"], told["differing"], told["incomplete"], told["differences"]) == (0, 0, 0, [])
    assert told["instances"] == Instance.objects.filter(saga=name).count() > 0
    half = found(name, "--since", store.head() // 2)
    assert (half["code"], half["differing"]) == (0, 0)


def test_a_seeded_mistake_is_stopped_before_it_touches_a_row(simulated, settings):
    """Of every payment a cent too little is booked."""
    right: Any = Booking.accepted

    @reacts(PaymentAccepted, key="payment_id", starts=True)
    def accepted(self, state, event, meta):
        for step in right(self, state, event, meta):
            short = Money(step.command.amount.amount - Decimal("0.01"), step.command.amount.currency)
            yield Send(msgspec.structs.replace(step.command, amount=short))

    rows, messages = everything(), broker(settings)
    paid = StoredEvent.objects.filter(type=PaymentAccepted.stored).count()
    with changed(Booking, accepted=accepted):
        shown, complaint, code = rehearse("booking", "--limit", 1)
        told = found("booking")
    assert (code, told["differing"]) == (1, paid)
    assert f"{paid} of {told['instances']} instances of booking would go another way" in complaint
    assert "the first 1 are shown" in complaint
    assert 'did    send finance.book-payment (amount={"amount":' in shown
    assert 'would  send finance.book-payment (amount={"amount":' in shown
    assert (everything(), broker(settings)) == (rows, messages)


def test_a_rehearsal_could_not_write_if_it_wanted_to(shipped):
    @mark_packed
    def packed(self, state, event, meta):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM sagas_instance")

    with changed(Shipping, packed=packed):
        told = found()
    assert (told["code"], told["error"]) == (2, "refused")
    assert "ReadOnlySqlTransaction" in told["detail"]
    assert Instance.objects.count() == 2


def test_what_would_be_done_is_told_beside_what_was_done(shipped):
    sent, waiting = shipped

    @mark_packed
    def packed(self, state, event, meta):
        state.packed = True
        yield After(timedelta(days=1), SendOff(parcel_id=event.parcel_id, note="late"), name="day")

    with changed(Shipping, packed=packed):
        shown, _, _ = rehearse("shipping")
        told = found()
    assert [(each["key"], each["events"]) for each in told["differences"]] == [(str(sent), 1), (str(waiting), 1)]
    (first,) = told["differences"][0]["differences"]
    assert (first["position"], first["type"], first["taken"]) == (1, "parcel.packed", [])
    (timer,) = first["would_take"]
    assert (timer["step"], timer["timer"], timer["data"]["note"]) == ("timer", "day", "late")
    assert "did    nothing" in shown
    assert "would  set the timer day to " in shown


def test_steps_that_are_not_taken_any_more_are_differences(shipped):
    sent, _ = shipped
    with changed(Shipping, labelled=reacts(Labelled, key="parcel_id")(does_nothing)):
        shown, _, _ = rehearse("shipping")
        told = found()
    assert [each["key"] for each in told["differences"]] == [str(sent)]
    assert f"did    send parcel.send-off (parcel_id={sent}, note=)" in shown
    assert "would  do nothing" in shown


def test_who_hears_of_an_event_no_more_differs_if_it_did_something_then(shipped):
    sent, _ = shipped
    with changed(Shipping, sent_off=None):
        told = found()
    (one,) = told["differences"]
    assert (one["key"], one["differences"][0]["taken"][0]["step"]) == (str(sent), "end")


def test_an_instance_that_would_begin_and_never_did_is_a_difference(shipping):
    label_alone = changed(Shipping, labelled=reacts(Labelled, key="parcel_id")(Shipping.labelled))
    with label_alone:
        new = registry["shipping"]
        registry.forget_rows()
        registry.make_rows()
        box = parcel(Labelled)
        feeding.catch_up([new])
    assert not Instance.objects.exists()
    with changed(Shipping, labelled=reacts(Labelled, key="parcel_id", starts=True)(ends)):
        (one,) = found()["differences"]
    assert (one["key"], one["differences"][0]["would_take"][0]["step"]) == (str(box), "end")


def test_a_handler_that_fails_would_have_its_events_parked(shipped):
    @mark_packed
    def packed(self, state, event, meta):
        raise KeyError(event.parcel_id)

    with changed(Shipping, packed=packed):
        shown, _, code = rehearse("shipping")
        told = found()
    assert (code, [each["events"] for each in told["differences"]]) == (1, [1, 1])
    assert "would  be parked: KeyError in packed" in shown


def test_the_fields_of_a_command_that_came_later_are_no_difference(shipped):
    """What was stored before a field was there is read as the command is today."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE sagas_outbox SET data = data - 'note'")
    assert found()["differing"] == 0


def test_parked_and_discarded_and_skipped_events_were_not_told_and_are_not(shipping):
    parcel(Packed)
    parcel(Packed)
    with late.unreadable(Packed):
        bring_to_rest(deliver=False)
    assert ParkedEvent.objects.count() == 2
    told = found()
    assert (told["differing"], told["instances"]) == (0, 0)
    keys = list(ParkedEvent.objects.values_list("key", "position"))
    perform(Discard(target="shipping", key=keys[0][0], positions=(keys[0][1],)), by=WHO, reason="a trial")
    parcel(Packed, Labelled)
    perform(Pause(target="shipping"), by=WHO)
    perform(Skip(target="shipping", upto=store.head()), by=WHO, reason="a trial")
    told = found()
    assert (told["differing"], told["instances"]) == (0, 0)


def test_events_are_told_in_the_order_in_which_they_were_heard(expired):
    """In the log the payment comes before the end of the order; the sale heard of it afterwards."""
    perform(Retry(target="sale"), by=WHO)
    bring_to_rest(deliver=False)
    assert found("sale")["differing"] == 0
    told = found("sale", "--since", 2)
    assert (told["differing"], told["incomplete"]) == (0, 1)


def test_instances_whose_history_was_not_kept_are_counted_and_not_compared(shipped):
    sent, _ = shipped
    Instance.objects.filter(key=str(sent)).update(history_begins_after=store.head())
    connection.cursor().execute("DELETE FROM sagas_transition WHERE key = %s", [str(sent)])
    shown, _, code = rehearse("shipping")
    assert code == 0
    assert "1 instances whose history is not known" in shown
    assert "No difference." in shown


def test_instances_go_on_since_a_position_or_a_time_from_where_they_were(shipped):
    _, waiting = shipped
    since = store.head() + 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (then,) = cursor.fetchone()
    parcel(Labelled)
    parcel(Labelled, parcel_id=waiting)
    bring_to_rest(deliver=False)

    @mark_packed
    def packed(self, state, event, meta):
        raise KeyError

    with changed(Shipping, packed=packed):
        assert found("shipping")["differing"] == 2
        for said in (since, then.isoformat()):
            told = found("shipping", "--since", said)
            assert (told["code"], told["instances"]) == (0, 2)


def test_a_state_that_cannot_be_read_any_more_is_a_difference(shipped):
    _, waiting = shipped
    since = store.head() + 1
    parcel(Labelled, parcel_id=waiting)
    bring_to_rest(deliver=False)

    class Other(msgspec.Struct):
        packed: str = ""
        labelled: bool = False

    with changed(Shipping, state=Other):
        assert found("shipping")["differing"] == 0
        (one,) = found("shipping", "--since", since)["differences"]
    assert "UnreadableState" in one["differences"][0]["error"]


def test_instances_under_former_rules_are_told_by_these(shipped):
    with changed(Shipping, packed=mark_packed(does_nothing), former=(Shipping,)):
        assert found()["differing"] == 0
    with changed(Shipping, packed=mark_packed(does_nothing)):
        assert found()["differing"] == 1


def test_many_instances_are_told_some_at_a_time(monkeypatch, shipping):
    boxes = [parcel(Packed, Labelled) for _ in range(9)]
    bring_to_rest(deliver=False)
    whole = found()
    monkeypatch.setattr(rehearsal, "INSTANCES", 3)
    assert found() == whole
    assert whole["instances"] == len(boxes)
    seen = []
    saga: Any = registry["shipping"]
    rehearsal.rehearse(saga, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (4 * store.head(), 4 * store.head())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody"], "No saga is declared as 'nobody'."),
        (["order-summaries"], "it is one of the projections"),
        (["shipping", "--since", "soon"], "'soon' is not a time"),
        (["shipping", "--since", "99"], "has heard of nothing since then"),
        (["shipping", "--limit", "0"], "--limit: at least 1."),
    ],
)
def test_what_cannot_be_told_ends_with_another_code_than_differences(shipped, arguments, told):
    _, complaint, code = rehearse(*arguments)
    assert (code, told in complaint) == (2, True), complaint


def test_a_saga_that_follows_nothing_yet_has_nothing_to_be_compared_with(parcels):
    saga = Shipping()
    registry.register(saga)
    try:
        assert found() == {
            "error": "refused",
            "detail": "shipping has not followed the log yet, so there is nothing to compare with.",
            "code": 2,
        }
    finally:
        registry.unregister(saga)
