"""Events that are stored under names and in forms that no event has any more, and everybody who reads them: aggregates
and snapshots, projections, sagas, effects, what is parked, what waits in the ledger.
"""

from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from eventstore import codec, repository, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.events import Event, catalogue, event
from eventstore.models import ParkedEvent, Snapshot, SubscriberRow
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Retry
from eventstore.subscriptions.registry import registry
from ordering.domain.customer import ChangeCustomer, Customer, CustomerEmailChanged, CustomerRenamed
from ordering.models import CustomerProfile
from projections.rebuild import builder, generations
from projections.testing import assert_rebuild_equals_live
from projections.watch import Watch
from sagas.effects.effect import effect
from sagas.models import Delivery, OutboxCommand, Transition
from sagas.steps import Send
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.sagas import readings
from tests.integration.sagas.parcels import (
    Labelled,
    Packed,
    SendOff,
    SentOff,
    Shipping,
    ShippingState,
    following,
    outgoing,
    row,
    sent_off,
)

PROFILES = "customer-profiles"


def deploy() -> None:
    """A process of a release begins: its subscribers want what they want under the former names that it knows, too."""
    for each in registry:
        vars(each).pop("types", None)
    registry.forget_rows()


@pytest.fixture
def today(parcels: None) -> Iterator[None]:
    """The release of today: what was stored under six names is read as other events."""
    readings.declare()
    deploy()
    yield
    readings.withdraw()
    deploy()


def old(stream_id: UUID, name: str, /, *, version: int = 1, category: str = "customer", **data: object) -> int:
    """What a former release has recorded onto a stream."""
    with closing(raw.connect()) as connection, connection:
        return raw.append(
            connection,
            stream_id=str(stream_id),
            category=category,
            version=store.version_of(stream_id) + 1,
            type=name,
            schema_version=version,
            data={f"{category}_id": str(stream_id), **data},
        )


def customer() -> UUID:
    """Somebody with a history under every former name: version 6 of the stream."""
    customer_id = shop.customer("Ada")
    old(customer_id, "customer.called", first="Ada", last="King")
    old(customer_id, "customer.moved-house", name="Ada Lovelace", email="lovelace@example.org")
    old(customer_id, "customer.poked", why="no reason")
    old(customer_id, "customer.reached", title="Lady Ada")
    old(customer_id, "customer.called", version=2, name="Countess")
    return customer_id


def test_an_aggregate_folds_former_events_and_its_version_counts_what_is_stored(today):
    ada = repository.get(Customer, customer())
    assert (ada.version, ada.name, ada.email) == (6, "Countess", "lovelace@example.org")
    receipt = dispatch(ChangeCustomer(customer_id=ada.id, name="Ada"))
    assert (receipt.version, store.version_of(ada.id)) == (7, 7)


def test_a_repeated_command_is_answered_with_what_its_events_are_read_as_today(today):
    customer_id, command_id = shop.customer("Ada"), new_id()
    dispatch(ChangeCustomer(customer_id=customer_id, name="King"), command_id=command_id)

    @codec.former("customer.renamed", into={"customer.email-changed": 1})
    def nobody_has_a_name(data):
        return {"customer.email-changed": {"customer_id": data["customer_id"], "email": "king@example.org"}}

    try:
        again = dispatch(ChangeCustomer(customer_id=customer_id, name="King"), command_id=command_id)
    finally:
        codec.forget_upcasters("customer.renamed")
    assert again.recorded == (CustomerEmailChanged(customer_id=customer_id, email="king@example.org"),)


def test_a_snapshot_is_as_good_as_the_events_and_another_reading_makes_it_void(today, monkeypatch):
    monkeypatch.setattr(Customer, "snapshot_every", 2)
    monkeypatch.setattr(repository, "_shapes", {})
    ada = customer()
    for name in ("Ada", "Ada King"):
        dispatch(ChangeCustomer(customer_id=ada, name=name))
    assert Snapshot.objects.get(pk=ada).version == 8
    assert (repository.recall(Customer, ada).version, repository.get(Customer, ada).name) == (8, "Ada King")

    codec.former("customer.nicknamed", into={"customer.renamed": 1})(readings.it_has_another_name)
    try:
        repository._shapes.clear()
        assert (repository.recall(Customer, ada).version, repository.get(Customer, ada).name) == (0, "Ada King")
    finally:
        codec.forget_upcasters("customer.nicknamed")


def test_a_projection_wants_former_names_and_folds_them_live_rebuilt_and_shared_among_parts(today):
    customer_id = customer()
    bring_to_rest(deliver=False)
    profile = CustomerProfile.objects.get(pk=customer_id)
    assert (profile.name, profile.email, profile.as_of) == ("Countess", "lovelace@example.org", store.head())
    assert {readings.RENAMED, readings.SPLIT, readings.JOINED} <= registry[PROFILES].types
    assert "customer.poked" not in registry[PROFILES].types
    assert_rebuild_equals_live(PROFILES)
    for parts in (1, 3):
        rebuilt = builder.complete(generations.rebuild(PROFILES, parts=parts))
        assert rebuilt.status == "live", rebuilt.error
        again = CustomerProfile.objects.get(pk=customer_id)
        assert (again.name, again.email, again.as_of) == (profile.name, profile.email, profile.as_of)
    only = builder.complete(generations.verify(PROFILES, keys=[str(customer_id)]))
    assert (only.status, only.differing) == ("verified", 0)


def test_a_checkpoint_speaks_of_former_names_too_so_code_that_does_not_know_them_feeds_nothing(today):
    shop.customer()
    before = SubscriberRow.objects.get(pk=PROFILES).types_hash
    readings.withdraw()
    deploy()
    assert registry[PROFILES].types_hash != before


@pytest.fixture
def shipping(today: None) -> Iterator[Shipping]:
    saga = Shipping()
    with following(saga):
        yield saga


def test_a_saga_hears_what_was_split_once_and_sends_what_follows_once(shipping):
    box = new_id()
    position = old(box, "parcel.readied", category="parcel")
    bring_to_rest(deliver=False)
    assert (outgoing(box), sent_off(box)) == (["done"], [""])
    told = Transition.objects.filter(key=str(box)).earliest("position")
    assert (told.position, told.type) == (position, "parcel.readied")
    SubscriberRow.objects.filter(pk="shipping").update(checkpoint=position - 1)
    bring_to_rest(deliver=False)
    assert (outgoing(box), sent_off(box)) == (["done"], [""])


class Twice(Shipping, name="twice"):
    """Says a word for each part of what it hears."""

    state = ShippingState

    def go_on(self, state, parcel_id):
        yield Send(SendOff(parcel_id=parcel_id, note="labelled" if state.labelled else "packed"))

    packed, labelled = Shipping.packed, Shipping.labelled


def test_each_part_of_what_was_split_has_commands_of_its_own(today):
    with following(Twice()):
        box = new_id()
        old(box, "parcel.readied", category="parcel")
        bring_to_rest(deliver=False)
        (told,) = Transition.objects.filter(key=str(box))
        assert len({step["command_id"] for step in told.steps}) == 2
        assert sent_off(box) == ["packed", "labelled"]


def test_the_state_of_an_instance_goes_on_over_events_of_both_names(shipping):
    box = new_id()
    dispatch_packed(box)
    bring_to_rest(deliver=False)
    assert outgoing(box) == []
    old(box, "parcel.readied", category="parcel")
    old(box, "parcel.posted", category="parcel")
    bring_to_rest(deliver=False)
    assert [told.type for told in Transition.objects.filter(key=str(box)).order_by("position")] == [
        *("parcel.packed", "parcel.readied", "parcel.posted")
    ]
    assert Transition.objects.get(type="parcel.posted").ended


def dispatch_packed(box: UUID) -> None:
    old(box, Packed.stored, category="parcel")


acted: list[tuple[str, str]] = []


@effect("probe.packed", on=Packed)
def on_packed(event: Packed, meta: object) -> None:
    acted.append((event.stored, meta.type))  # type: ignore[attr-defined]


@effect("probe.labelled", on=Labelled)
def on_labelled(event: Labelled, meta: object) -> None:
    acted.append((event.stored, meta.type))  # type: ignore[attr-defined]


@pytest.fixture
def effects(today: None) -> Iterator[None]:
    acted.clear()
    with following(on_packed, on_labelled):
        for each in (on_packed, on_labelled):
            vars(each).pop("types", None)
        registry.forget_rows()
        SubscriberRow.objects.filter(pk__startswith="probe.").delete()
        registry.make_rows()
        yield


def test_each_effect_acts_on_its_part_of_what_was_split_once(effects):
    position = old(new_id(), "parcel.readied", category="parcel")
    bring_to_rest()
    bring_to_rest()
    assert sorted(acted) == [("parcel.labelled", "parcel.labelled"), ("parcel.packed", "parcel.packed")]
    ledger = list(Delivery.objects.order_by("effect").values_list("effect", "position", "status"))
    assert ledger == [("probe.labelled", position, "done"), ("probe.packed", position, "done")]


def test_what_waits_in_the_ledger_is_carried_out_under_the_reading_of_the_day(effects):
    """Entered as one event, and read as another since: it fails, says why, and is never tried again by itself."""
    old(new_id(), "parcel.readied", category="parcel")
    bring_to_rest(deliver=False)

    @codec.former("parcel.readied", into={"parcel.packed": 1, "parcel.labelled": 1})
    def it_was_packed_alone(data):
        return {"parcel.packed": data}

    bring_to_rest()
    assert acted == [("parcel.packed", "parcel.packed")]
    failed = Delivery.objects.get(effect="probe.labelled")
    assert (failed.status, failed.attempts) == ("failed", 1)
    assert "is read as no parcel.labelled any more" in failed.error


class Packing(Watch, name="packing", kind="packing", events=[Packed]):
    """Judges nothing, and remembers what it was asked about."""

    def __init__(self):
        self.asked = []

    def key(self, recorded):
        return recorded.event.parcel_id

    def judge(self, key, recorded):
        self.asked += [(key, each.type, each.position) for each in recorded]
        return ()


def test_a_watch_judges_its_part_of_what_was_split(today):
    watch, box = Packing(), new_id()
    position = old(box, "parcel.readied", category="parcel")
    old(box, "parcel.posted", category="parcel")
    with following(watch):
        bring_to_rest(deliver=False)
    assert watch.asked == [(box, "parcel.packed", position)]


def test_a_parked_event_is_read_by_the_code_that_tries_it_again(today):
    ada = shop.customer("Ada")

    @codec.former("customer.moved-house", into={"customer.renamed": 1, "customer.email-changed": 1})
    def mistaken(data):
        return {"customer.renamed": {"customer_id": data["customer_id"], "name": data["nobody"]}}

    moved = old(ada, "customer.moved-house", name="Ada King", email="king@example.org")
    old(ada, "customer.called", version=2, name="Countess")
    bring_to_rest(deliver=False)
    first = ParkedEvent.objects.filter(subscriber=PROFILES).earliest("position")
    assert (first.position, first.key) == (moved, f"stream {ada}")
    assert CustomerProfile.objects.get(pk=ada).name == "Ada"

    @codec.former("customer.moved-house", into={"customer.renamed": 1, "customer.email-changed": 1})
    def mended(data):
        who = {"customer_id": data["customer_id"]}
        return {
            "customer.renamed": {**who, "name": data["name"]},
            "customer.email-changed": {**who, "email": data["email"]},
        }

    perform(Retry(target=PROFILES), by="anna")
    profile = CustomerProfile.objects.get(pk=ada)
    assert (profile.name, profile.email) == ("Countess", "king@example.org")
    assert not ParkedEvent.objects.filter(subscriber=PROFILES).exists()
    assert_rebuild_equals_live(PROFILES)


def test_a_parked_event_that_says_nothing_any_more_is_healed(today):
    ada = shop.customer("Ada")

    @codec.former("customer.called", version=2, into={"customer.renamed": 1})
    def mistaken(data):
        return {"customer.renamed": {}}

    old(ada, "customer.called", version=2, name="Countess")
    bring_to_rest(deliver=False)
    assert ParkedEvent.objects.filter(subscriber=PROFILES).count() == 1

    @codec.former("customer.called", version=2, into={"customer.renamed": 1})
    def retired(data):
        return {}

    perform(Retry(target=PROFILES), by="anna")
    assert (CustomerProfile.objects.get(pk=ada).name, ParkedEvent.objects.count()) == ("Ada", 0)


def test_a_version_of_a_former_event_that_only_newer_code_knows_is_waited_for(today):
    ada = shop.customer("Ada")
    position = old(ada, "customer.called", version=3, name="Countess")
    bring_to_rest(deliver=False)
    assert row(PROFILES).checkpoint == position - 1
    assert ParkedEvent.objects.count() == 0


def test_the_log_can_be_read_whatever_its_names_are(today, capsys):
    customer()
    old(new_id(), "parcel.readied", category="parcel")
    call_command("events", "verify")
    assert "all of them can be read" in capsys.readouterr().out
    codec.forget_upcasters("customer.poked")
    with pytest.raises(CommandError, match="1 of "):
        call_command("events", "verify")


def test_the_catalogue_says_under_which_names_an_event_was_once_stored(today, capsys):
    call_command("events", "catalogue", "customer.renamed")
    assert "customer.called, customer.moved-house, customer.reached" in capsys.readouterr().out


def test_the_catalogue_and_the_admin_tell_former_names_and_what_they_are_read_as(today, capsys):
    poked, client = customer(), Client()
    client.force_login(User.objects.create_superuser("ada"))
    call_command("events", "catalogue", readings.SPLIT, readings.RETIRED)
    told = capsys.readouterr().out
    assert "nobody any more: read as customer.renamed, customer.email-changed" in told
    assert "nobody any more: read as nothing" in told
    call_command("events", "catalogue", "--asyncapi")
    assert readings.SPLIT not in capsys.readouterr().out
    types = "/admin/eventstore/storedevent/types/"
    assert "read as customer.renamed, customer.email-changed" in client.get(types).content.decode()
    assert "<dd>nothing</dd>" in client.get(f"{types}{readings.RETIRED}/").content.decode()
    listed = client.get(f"/admin/eventstore/storedevent/?type={readings.RETIRED}&of=").content.decode()
    assert str(poked) in listed
    assert str(poked) in client.get("/admin/eventstore/storedevent/?of=customer").content.decode()


def test_a_former_name_may_lead_to_another_former_name(today):
    @codec.former("customer.baptized", into={"customer.called": 1})
    def the_oldest_name(data):
        return {"customer.called": {"customer_id": data["customer_id"], "first": data["name"], "last": "Byron"}}

    try:
        assert {"customer.baptized", "customer.called"} <= codec.stored_names(CustomerRenamed)
        (read,) = codec.read("customer.baptized", 1, f'{{"customer_id": "{new_id()}", "name": "Ada"}}')
    finally:
        codec.forget_upcasters("customer.baptized")
    assert isinstance(read, CustomerRenamed)
    assert read.name == "Ada Byron"


def test_a_field_of_another_meaning_is_turned_into_the_new_one_when_it_is_read():
    @event("probe.lent", version=2, standalone=True)
    class Lent(Event):
        hours: int
        """For how long. Version 1 counted days, and knew no reader."""

        reader: str

    @codec.upcaster("probe.lent", 1)
    def days_became_hours(data):
        return {"hours": 24 * data["hours"], "reader": "somebody"}

    try:
        assert codec.decode("probe.lent", 1, '{"hours": 2}') == Lent(hours=48, reader="somebody")
        assert codec.decode("probe.lent", 2, '{"hours": 2, "reader": "Ada"}') == Lent(hours=2, reader="Ada")
    finally:
        catalogue.unregister(Lent)
        codec.forget_upcasters("probe.lent")


def test_nothing_is_sent_off_twice_over_all_of_it(shipping):
    """Whatever was recorded under a former name has had its consequences once, in a log with both."""
    boxes = [new_id() for _ in range(3)]
    for box in boxes:
        old(box, "parcel.readied", category="parcel")
        bring_to_rest(deliver=False)
        dispatch_packed(box)
    bring_to_rest(deliver=False)
    assert [outgoing(box) for box in boxes] == [["done"]] * 3
    assert OutboxCommand.objects.count() == 3
    assert store.read_types(boxes[0], codec.stored_names(SentOff))[-1].type == SentOff.stored
