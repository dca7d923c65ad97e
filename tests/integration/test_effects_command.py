"""`manage.py effects`, as a person at a terminal and a script use it."""

import json
from io import StringIO

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from eventstore.commands import dispatch
from eventstore.models import OperatorAction, StoredEvent, SubscriberRow
from eventstore.operations.base import operations
from eventstore.subscriptions.subscriber import Rank
from ordering.domain.customer import ChangeCustomer
from sagas.models import Delivery
from sagas.testing import bring_to_rest
from tests.integration import shop, troubles
from tests.integration.troubles import WELCOME

pytestmark = pytest.mark.usefixtures("clean")

WHY = ("--reason", "a customer called", "--by", "ada")


def run(*arguments):
    out = StringIO()
    call_command("effects", *map(str, arguments), stdout=out)
    return out.getvalue()


def answer(*arguments):
    return json.loads(run(*arguments, "--json"))


def refusal(*arguments):
    out = StringIO()
    with pytest.raises(CommandError) as refused:
        call_command("effects", *map(str, arguments), "--json", stdout=out)
    return json.loads(out.getvalue()) | {"exit": refused.value.returncode}


def fate(position, effect=WELCOME):
    (found,) = [each for each in answer("show", position)["effects"] if each["effect"] == effect]
    return found


def statuses():
    return list(Delivery.objects.order_by("id").values_list("status", flat=True))


def test_the_ledger_is_listed_the_last_first_by_effect_and_status():
    shop.pay(shop.order(shop.customer(), shop.conference_on_sale()))
    assert [each["effect"] for each in answer("list")] == ["mail.order-confirmation", "mail.payment-requested", WELCOME]
    assert [each["effect"] for each in answer("list", "--effect", WELCOME)] == [WELCOME]
    assert len(answer("list", "--limit", 1)) == 1
    assert answer("list", "--status", "failed") == []
    bring_to_rest()
    assert [each["status"] for each in answer("list", "--status", "done")] == ["done"] * 3
    assert "done" in run("list")
    assert len(mail.outbox) == 3


def test_of_an_event_it_is_told_what_every_effect_made_of_it():
    shop.customer()
    found = answer("show", 1)
    assert found["position"] == 1
    by_name = {each["effect"]: each for each in found["effects"]}
    assert [each["status"] for each in by_name[WELCOME]["deliveries"]] == ["pending"]
    assert by_name["mail.order-confirmation"]["why_none"] == "does not want it"
    assert "does not want it" in run("show", 1)


def test_an_event_from_before_an_effect_was_deployed_is_told_to_be_skipped():
    shop.customer()
    SubscriberRow.objects.filter(name=WELCOME).update(began_after=1)
    Delivery.objects.all().delete()
    assert fate(1)["why_none"] == "skipped: deployed later"


def test_an_event_that_an_effect_has_not_been_fed_yet_is_told_so():
    shop.customer()
    run("pause", WELCOME)
    shop.customer()
    assert fate(2) == {"effect": WELCOME, "deliveries": [], "why_none": "not fed yet"}


def test_an_event_that_staff_left_out_is_told_with_the_reason():
    shop.customer()
    run("pause", WELCOME)
    shop.customer()
    answer("skip", WELCOME, "--upto", 2, *WHY)
    assert fate(2)["why_none"] == "skipped by ada: a customer called"


def test_a_mail_that_waits_tells_for_what(poison):
    customer = shop.customer("Ada")
    dispatch(ChangeCustomer(customer_id=customer, name="poison"))
    other = shop.customer("poison")
    registered = StoredEvent.objects.get(stream_id=other)
    bring_to_rest()
    (delivery,) = fate(registered.position)["deliveries"]
    assert (delivery["status"], delivery["waits_for"]) == ("waiting", "customer-profiles (parked)")
    assert "customer-profiles (parked)" in run("list", "--status", "waiting")


def test_mails_that_failed_are_sent_once_the_mail_server_is_back():
    first, _ = troubles.failed_mails(2)
    assert (first.attempts, "Connection" in first.error) == (9, True)
    assert answer("retry-delivery", WELCOME, "--delivery", first.pk)["outcome"] == "1 delivery is tried again"
    assert answer("retry-delivery", WELCOME, "--error", first.error)["outcome"] == "1 delivery is tried again"
    bring_to_rest()
    assert statuses() == ["done", "done"]
    assert len(mail.outbox) == 2
    assert refusal("retry-delivery", WELCOME)["error"] == "nothing-to-resolve"


def test_mails_that_failed_are_given_up_for_a_reason():
    troubles.failed_mails(2)
    assert refusal("abandon-delivery", WELCOME)["error"] == "reason-missing"
    assert answer("abandon-delivery", WELCOME, *WHY)["outcome"] == "2 deliveries are abandoned"
    bring_to_rest()
    assert statuses() == ["abandoned", "abandoned"]
    assert mail.outbox == []


def test_what_is_in_doubt_is_settled_by_who_found_out():
    happened, lost = troubles.in_doubt(2)
    bring_to_rest()
    assert mail.outbox == []
    answer("mark-delivered", WELCOME, "--delivery", happened.pk, *WHY)
    answer("redeliver", WELCOME, "--delivery", lost.pk, *WHY)
    bring_to_rest()
    assert statuses() == ["done", "done"]
    assert len(mail.outbox) == 1


def test_what_was_sent_is_sent_once_more_under_another_message_id():
    shop.customer()
    bring_to_rest()
    done = Delivery.objects.get()
    assert answer("send-copy", WELCOME, "--delivery", done.pk, *WHY)["outcome"].startswith("carried out once more")
    bring_to_rest()
    assert len({str(message.message()["Message-ID"]) for message in mail.outbox}) == 2
    assert [(each["copy"], each["status"]) for each in fate(done.position)["deliveries"]] == [(0, "done"), (1, "done")]
    assert OperatorAction.objects.get().reason == "a customer called"


@pytest.mark.parametrize(
    ("arguments", "code", "detail"),
    [
        (("show", "7"), "no-such-event", "There is no event at position 7."),
        (("show", "last"), "refused", "position: 'last' is not a whole number."),
        (("list", "--effect", "sale"), "unknown-subscriber", "'sale' is no effect, it is one of the sagas."),
        (("list", "--status", "lost"), "refused", "--status: 'lost' is none of pending, waiting"),
        (("send-copy", "sale", "--delivery", "1"), "unknown-subscriber", "'sale' is no effect"),
        (("send-copy", WELCOME, "--delivery", "1", *WHY), "nothing-to-resolve", "somebody has resolved it meanwhile"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(arguments, code, detail):
    shop.customer()
    refused = refusal(*arguments)
    assert (refused["error"], refused["exit"]) == (code, 1)
    assert detail in refused["detail"]
    assert statuses() == ["pending"]


def test_the_operations_are_those_on_effects():
    with pytest.raises(CommandError, match="invalid choice") as unknown:
        run("explode")
    for kind in operations:
        assert (f"'{kind.word}'" in str(unknown.value)) is (Rank.EFFECT in kind.ranks)
    assert "'send-copy'" in str(unknown.value)
    assert "'retry-command'" not in str(unknown.value)


def test_an_empty_ledger_says_so():
    assert "No delivery" in run("list")
