"""The waitlists in the admin: who waits, why offers went to whom, and what staff do about it."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent
from ordering import conf
from ordering.domain.conference_changes import ChangeCapacity
from ordering.domain.order import CancelOrder
from ordering.domain.waitlist import AcceptOffer, LeaveWaitlist, PrioritiseEntry, waitlist_id_of
from ordering.models import CustomerProfile, OrderSummary, WaitlistEntry
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.admin.reading import listed, said, text
from tests.integration.api.caller import nothing_written

pytestmark = pytest.mark.usefixtures("clean")

VIEW, MANAGE = "ordering.view_waitlistentry", "ordering.manage_waitlist"
LIST = "/admin/ordering/waitlistentry/"
OFFERED = conf.offered_for()


@pytest.fixture
def sold_out():
    """A conference, and the order that has its two seats."""
    conference = shop.conference_on_sale(2)
    return conference, shop.order(shop.customer("Emmy Noether"), conference, 2)


@pytest.fixture
def waiting(sold_out):
    """Ada, for three seats, then Grace and Mary, for one."""
    conference, _ = sold_out
    wanted = {"Ada Lovelace": 3, "Grace Hopper": 1, "Mary Somerville": 1}
    return [shop.wait(shop.customer(name), conference, seats) for name, seats in wanted.items()]


def free(conference, capacity):
    """So many seats more than are taken."""
    dispatch(ChangeCapacity(conference_id=conference, seat_type="standard", capacity=2 + capacity))
    bring_to_rest()


def row(entry):
    return WaitlistEntry.objects.in_line().get(pk=entry)


def named(entry):
    return {"waitlist_id": waitlist_id_of(row(entry).conference_id), "entry_id": entry}


def page(entry):
    return reverse("admin:ordering_waitlistentry_change", args=[entry])


def address(entry, act):
    return reverse("admin:ordering_waitlistentry_act", args=[entry, act, entry])


def fill_in(client, url, **given):
    form = client.get(url).context["form"]
    return {**{name: form[name].value() for name in form.fields}, **given}


def do(client, url, **given):
    answer = client.post(url, fill_in(client, url, **given), follow=True)
    bring_to_rest()
    return answer


def prioritise(client, entry, priority=5):
    return do(client, address(entry, "priority"), priority=priority, reason="She speaks.")


def buttons(client, entry):
    return [offer.label for offer in client.get(page(entry)).context["acts"]]


def told(client, entry):
    return [each.words for each in client.get(page(entry)).context["timeline"]]


def test_an_empty_list_says_what_will_be_on_it(client, staff):
    staff(VIEW)
    assert "Nobody is on a waitlist. Whoever is refused seats" in text(client.get(LIST))


def test_the_list_says_who_waits_for_what_in_which_place(client, staff, sold_out, waiting):
    staff(VIEW, MANAGE)
    prioritise(client, waiting[2])
    shown = text(client.get(LIST))
    assert [(each.pk, each.ahead) for each in listed(client, LIST)] == [
        *((waiting[2], 0), (waiting[1], 2), (waiting[0], 1)),
    ]
    for said_of_ada in ("Ada Lovelace", "PyCon", "3 × standard", "waiting"):
        assert said_of_ada in shown, said_of_ada


def test_the_list_has_those_on_it_unless_others_are_asked_for(client, staff, sold_out, waiting):
    ada, grace, mary = waiting
    free(sold_out[0], 1)
    dispatch(LeaveWaitlist(**named(mary)))
    staff(VIEW)

    def found(**filters):
        return {each.pk for each in listed(client, LIST, **filters)}

    assert found() == {ada, grace}
    assert found(status="offered") == {grace}
    assert found(status="left") == {mary}
    assert found(status="all") == {ada, grace, mary}


def test_entries_of_one_conference_are_listed(client, staff, sold_out, waiting):
    other = shop.conference_on_sale(1, name="DjangoCon")
    shop.order(shop.customer(), other)
    entry = shop.wait(shop.customer(), other)
    staff(VIEW)
    assert [each.pk for each in listed(client, LIST, conference_id=other)] == [entry]
    assert {each.pk for each in listed(client, LIST, conference_id=sold_out[0])} == set(waiting)


def test_an_entry_is_found_by_its_customer_and_by_ids(client, staff, sold_out, waiting):
    grace = row(waiting[1])
    staff(VIEW)
    email = CustomerProfile.objects.get(pk=grace.customer_id).email
    for term in (email, email.upper(), "grace hopper", "Hopper, Grace", "hop", grace.pk, grace.customer_id):
        assert listed(client, LIST, q=term) == [grace], term
    assert len(listed(client, LIST, q=grace.conference_id)) == 3
    for term in ("nobody@example.org", "Lovelace Hopper", new_id(), "'; --"):
        assert listed(client, LIST, q=term) == [], term


def test_the_page_leads_to_the_order_that_was_refused_and_to_the_one_that_came_of_it(client, staff, sold_out):
    conference, order = sold_out
    refused = shop.order(shop.customer("Grace Hopper"), conference)
    bring_to_rest()
    staff(VIEW)
    assert "order that came of it" in text(client.get(page(refused))).lower()
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    dispatch(AcceptOffer(**named(refused)))
    bring_to_rest()
    shown = text(client.get(page(refused)))
    for order_id in (refused, row(refused).order_id):
        link = reverse("admin:ordering_ordersummary_change", args=[order_id])
        assert f'<a href="{link}">{OrderSummary.objects.get(pk=order_id).number}</a>' in shown
    first, turn, offer, accepted = told(client, refused)
    assert first == "The entry waits for 1 × standard: an order for them was refused. Nobody waited before it."
    assert turn == "It is the entry's turn: 1 × standard are asked for."
    assert offer.startswith("1 × standard are offered until ")
    assert accepted == "The offer was accepted: 1 × standard are ordered."


def test_who_was_passed_over_is_told_so_and_so_is_who_came_first_for_it(client, staff, sold_out, waiting):
    ada, grace, mary = waiting
    free(sold_out[0], 1)
    staff(VIEW)
    joined, anothers = told(client, ada)
    assert joined == "The entry waits for 3 × standard: its customer wished so. Nobody waited before it."
    assert anothers == (
        "It was the turn of Grace Hopper (1 × standard), though this entry came first: 3 × standard were not free, or "
        "are more than its customer may have."
    )
    joined, turn, _ = told(client, grace)
    assert joined.endswith("1 waited before it.")
    assert turn == (
        "It is the entry's turn: 1 × standard are asked for. Passed over: Ada Lovelace (3 × standard), for so many "
        "were not free, or are more than the customer may have."
    )
    assert told(client, mary)[1:] == ["It was the turn of Grace Hopper (1 × standard), who has waited longer."]


def test_who_has_a_higher_priority_comes_first_and_the_others_are_told_why(client, staff, sold_out, waiting):
    _, grace, mary = waiting
    user = staff(VIEW, MANAGE)
    answer = prioritise(client, mary)
    assert said(answer) == ["The entry has another priority."]
    assert StoredEvent.objects.get(type="waitlist.prioritised").actor == f"staff:{user.pk}"
    assert LogEntry.objects.get().get_change_message() == "Sent waitlist.prioritise."
    assert (row(mary).priority, row(mary).ahead) == (5, 0)
    free(sold_out[0], 1)
    assert row(mary).status == "offered"
    assert told(client, mary)[1] == "The entry has priority 5 instead of 0: She speaks."
    assert told(client, grace)[1:] == [
        "Mary Somerville (1 × standard) comes first now, with priority 5.",
        "It was the turn of Mary Somerville (1 × standard), who has priority 5; this entry has 0.",
    ]
    (by_staff,) = [each for each in client.get(page(mary)).context["timeline"] if each.type == "waitlist.prioritised"]
    assert by_staff.who == user.username


def test_of_many_who_were_passed_over_some_are_named(client, staff, sold_out):
    conference, _ = sold_out
    for number in range(5):
        shop.wait(shop.customer(f"Customer {number}"), conference, 3)
    entry = shop.wait(shop.customer(), conference)
    free(conference, 1)
    staff(VIEW)
    assert "Customer 2 (3 × standard) and 2 more, for so many were not free" in told(client, entry)[1]


def test_who_lets_an_offer_lapse_reads_so(client, staff, sold_out, waiting):
    free(sold_out[0], 1)
    let_pass(OFFERED)
    bring_to_rest()
    staff(VIEW, MANAGE)
    assert told(client, waiting[1])[-1] == "The offer of 1 × standard has lapsed: it was not accepted in time."
    assert buttons(client, waiting[1]) == []


def test_who_is_taken_off_the_list_waits_no_longer(client, staff, sold_out, waiting):
    user = staff(VIEW, MANAGE)
    assert "Its seats" not in text(client.get(address(waiting[1], "take-off")))
    answer = do(client, address(waiting[1], "take-off"), reason="She has a ticket")
    assert said(answer) == ["The entry is off the waitlist."]
    left = StoredEvent.objects.get(type="waitlist.left")
    assert (left.data["reason"], left.actor) == ("staff", f"staff:{user.pk}")
    assert told(client, waiting[1])[-1] == "The entry left the waitlist: staff took it off (She has a ticket)."
    assert "staff took it off" in text(client.get(page(waiting[1])))
    assert (row(waiting[1]).status, row(waiting[2]).ahead) == ("left", 1)


def test_nobody_is_taken_off_the_list_without_a_reason(client, staff, waiting):
    staff(VIEW, MANAGE)
    url = address(waiting[1], "take-off")
    with nothing_written():
        answer = client.post(url, fill_in(client, url, reason=" "))
    assert set(answer.context["form"].errors) == {"reason"}


def test_the_seats_of_who_has_an_offer_go_to_the_next_which_is_said_before(client, staff, sold_out, waiting):
    free(sold_out[0], 1)
    staff(VIEW, MANAGE)
    assert buttons(client, waiting[1]) == ["Take off the list"]
    asked = text(client.get(address(waiting[1], "take-off")))
    assert "are given back at once, and offered to whoever is next" in asked
    do(client, address(waiting[1], "take-off"), reason="She has a ticket")
    assert (row(waiting[1]).status, row(waiting[2]).status) == ("left", "offered")
    assert told(client, waiting[1])[-1].endswith("Its seats are given back.")


@pytest.mark.parametrize("act", ["priority", "take-off"])
def test_nobody_acts_without_the_permission(client, staff, waiting, act):
    staff(VIEW, "ordering.change_waitlistentry")
    assert buttons(client, waiting[0]) == []
    with nothing_written():
        assert client.get(address(waiting[0], act)).status_code == 403
        assert client.post(address(waiting[0], act), {"form_id": new_id()}).status_code == 403


def test_nobody_sees_a_waitlist_without_the_permission(client, staff, sold_out, waiting):
    staff("ordering.view_conferencesummary", "ordering.view_customerprofile")
    assert client.get(LIST).status_code == 403
    assert client.get(page(waiting[0])).status_code == 403
    for model, key in (("conferencesummary", sold_out[0]), ("customerprofile", row(waiting[0]).customer_id)):
        assert "Waitlist" not in text(client.get(reverse(f"admin:ordering_{model}_change", args=[key])))


@pytest.mark.parametrize("given", [{"priority": "1001"}, {"priority": ""}, {"priority": "first"}, {"reason": ""}])
def test_what_is_no_priority_or_has_no_reason_is_refused(client, staff, waiting, given):
    staff(VIEW, MANAGE)
    url = address(waiting[0], "priority")
    filled = fill_in(client, url, priority=5, reason="She speaks.")
    with nothing_written():
        answer = client.post(url, {**filled, **given})
    assert set(answer.context["form"].errors) == set(given)


def test_what_has_changed_meanwhile_is_shown_before_anything_is_done(client, staff, sold_out, waiting):
    staff(VIEW, MANAGE)
    url = address(waiting[1], "take-off")
    form = fill_in(client, url, reason="She has a ticket")
    free(sold_out[0], 1)
    with nothing_written():
        stale = client.post(url, form)
    assert "This has changed since you looked at it" in text(stale)
    assert [each.split(" until")[0] for each in stale.context["changes"]] == [
        "It is the entry's turn: 1 × standard are asked for.",
        "1 × standard are offered",
    ]
    assert "offered to whoever is next" in text(stale)
    again = stale.context["form"]
    client.post(url, {name: again[name].value() for name in again.fields})
    assert row(waiting[1]).status == "left"


def test_that_others_join_and_leave_meanwhile_makes_nothing_stale(client, staff, sold_out, waiting):
    staff(VIEW, MANAGE)
    form = fill_in(client, address(waiting[1], "take-off"), reason="She has a ticket")
    dispatch(PrioritiseEntry(**named(waiting[0]), priority=3, reason="She is ill."))
    shop.wait(shop.customer(), sold_out[0])
    client.post(address(waiting[1], "take-off"), form)
    assert row(waiting[1]).status == "left"


def test_a_form_that_is_sent_twice_is_carried_out_once(client, staff, waiting):
    staff(VIEW, MANAGE)
    url = address(waiting[1], "take-off")
    form = fill_in(client, url, reason="She has a ticket")
    client.post(url, form)
    with nothing_written():
        assert said(client.post(url, form, follow=True))[-1] == "This was done already."


def test_who_is_off_the_list_already_cannot_be_taken_off(client, staff, waiting):
    staff(VIEW, MANAGE)
    dispatch(LeaveWaitlist(**named(waiting[1])))
    assert buttons(client, waiting[1]) == []
    url = address(waiting[1], "take-off")
    with nothing_written():
        answer = client.post(url, fill_in(client, url, reason="She has a ticket"))
    assert "There is no such entry on the waitlist." in text(answer)


def test_there_is_nothing_to_do_about_what_is_no_entry(client, staff):
    staff(VIEW, MANAGE)
    assert client.get(address(new_id(), "take-off")).status_code == 404


def test_the_page_of_a_conference_counts_who_waits_and_what_is_on_offer(client, staff, sold_out, waiting):
    conference, _ = sold_out
    free(conference, 1)
    staff(VIEW, "ordering.view_conferencesummary")
    shown = client.get(reverse("admin:ordering_conferencesummary_change", args=[conference]))
    (counts,) = shown.context["waitlist"]
    assert counts == {"code": "standard", "name": "Standard", "waiting": 2, "wanted": 4, "offers": 1, "offered": 1}
    assert f'href="{LIST}?conference_id={conference}"' in text(shown)
    assert re.search(r'data-label="Reserved" class="number"><a [^>]*>3<', text(shown))
    others = client.get(reverse("admin:ordering_conferencesummary_change", args=[shop.conference_on_sale()]))
    assert "data-waited-for" not in text(others)


def test_the_page_of_a_customer_has_what_they_wait_for(client, staff, waiting):
    staff(VIEW, "ordering.view_customerprofile")
    customer = row(waiting[1]).customer_id
    shown = client.get(reverse("admin:ordering_customerprofile_change", args=[customer]))
    assert list(shown.context["entries"]) == [row(waiting[1])]
    assert f'<a href="{page(waiting[1])}">1 × standard</a>' in text(shown)
    assert "data-entry" not in text(
        client.get(reverse("admin:ordering_customerprofile_change", args=[shop.customer("Lise Meitner")]))
    )
