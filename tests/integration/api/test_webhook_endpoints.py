"""Endpoints of webhooks by the API: who may do what, what is shown of them, and when."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from eventstore.context import new_id
from eventstore.subscriptions import feeding
from ordering.models import KeyedCall
from sagas.models import WebhookDelivery, WebhookEndpoint
from sagas.webhooks import delivery, endpoints
from sagas.webhooks.subscriber import webhooks
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem
from tests.integration.receiver import Receiver, Reply

pytestmark = pytest.mark.usefixtures("clean")

PATH = "/webhook-endpoints"
REGISTERED = "customer.registered"
HOOK: Any = {"url": "https://hooks.example/a", "owner": "ops@example.org"}
EVERY = (
    *("view_webhookendpoint", "add_webhookendpoint", "change_webhookendpoint", "delete_webhookendpoint"),
    *("test_webhookendpoint", "view_webhookdelivery", "resend_webhookdelivery"),
    "view_storedevent",
)


def allowed(*codenames, is_staff=True):
    user = User.objects.create(username=f"staff-{new_id().hex}", is_staff=is_staff)
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return callers.caller_for(user)


@pytest.fixture
def caller():
    return allowed(*EVERY)


@pytest.fixture
def receiver(settings, monkeypatch):
    monkeypatch.setattr(delivery, "FIRST_RETRY", 60.0)  # on a busy machine sending may take some seconds
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES, settings.WEBHOOKS_TIMEOUT_SECONDS = True, 50.0
    with Receiver().running() as started:
        yield started


def made(caller, **more):
    answer = caller.post(PATH, {**HOOK, **more})
    assert answer.status_code == 201, answer.content
    return answer.json()


def send():
    feeding.catch_up([webhooks])
    delivery.send_due()


def test_an_endpoint_is_made_shown_changed_and_deleted_and_its_secret_is_told_once(caller):
    answer = caller.post(PATH, {**HOOK, "types": ["order.placed", REGISTERED, REGISTERED], "description": "Ours"})
    new = answer.json()
    secret = new.pop("secret")
    assert secret.startswith("whsec_")
    assert len(secret) > 40
    path = f"{PATH}/{new['id']}"
    assert answer["Location"] == f"http://testserver/api/v1{path}"
    assert (new["types"], new["enabled"], new["description"]) == ([REGISTERED, "order.placed"], True, "Ours")
    shown = caller.get(path)
    assert shown.json() == new
    assert shown["ETag"] == answer["ETag"]
    assert caller.get(PATH).json() == {"results": [new], "next": None}
    changed = caller.patch(path, {"enabled": False, "types": []})
    assert changed.json() == {**new, "enabled": False, "types": []}
    assert caller.get(path).json() == changed.json()
    assert caller.delete(path).status_code == 204
    assert_problem(caller.get(path), 404, "not-found")
    assert not WebhookEndpoint.objects.exists()


def test_another_secret_is_told_and_the_former_one_is_good_for_a_while(caller):
    new = made(caller)
    answer = caller.post(f"{PATH}/{new['id']}/rotate")
    assert answer.status_code == 200
    assert answer.json()["secret"] not in ("", new["secret"])
    row = WebhookEndpoint.objects.get()
    assert endpoints.secret_of(row) == answer.json()["secret"]
    assert row.former_until is not None


def test_each_call_takes_its_own_permissions_and_staff(receiver):
    row = WebhookEndpoint(url=receiver.url, owner="ops@example.org")
    endpoints.create(row)
    shop.customer()
    send()
    one = f"{PATH}/{row.pk}"
    resending = f"{one}/deliveries/{WebhookDelivery.objects.earliest('id').pk}/resend"
    calls = [
        ("GET", PATH, None, ["view_webhookendpoint"]),
        ("GET", one, None, ["view_webhookendpoint"]),
        ("POST", PATH, HOOK, ["add_webhookendpoint", "view_storedevent"]),
        ("PATCH", one, {"description": "x"}, ["change_webhookendpoint", "view_storedevent"]),
        ("POST", f"{one}/rotate", None, ["change_webhookendpoint"]),
        ("POST", f"{one}/test", None, ["test_webhookendpoint"]),
        ("GET", f"{one}/deliveries", None, ["view_webhookdelivery"]),
        ("POST", resending, None, ["resend_webhookdelivery"]),
        ("DELETE", one, None, ["delete_webhookendpoint"]),
    ]
    customer, storefront = callers.customer()[1], callers.storefront()
    for method, path, body, permissions in calls:
        without = [allowed(*(name for name in EVERY if name != each)) for each in permissions]
        assert Caller().call(method, path, body).status_code == 401, path
        for nobody in (customer, storefront, *without, allowed(*permissions, is_staff=False)):
            assert_problem(nobody.call(method, path, body), 403, "permission-denied")
        assert allowed(*permissions).call(method, path, body).status_code in (200, 201, 202, 204), path


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({**HOOK, "url": "http://hooks.example/"}, "/url", "unfit-address"),
        ({**HOOK, "url": "https://10.0.0.1/"}, "/url", "unfit-address"),
        ({**HOOK, "url": "https://u:p@hooks.example/"}, "/url", "unfit-address"),
        ({**HOOK, "url": "https://hooks.example/" + "x" * 500}, "/url", "max-length"),
        ({**HOOK, "url": 7}, "/url", "invalid"),
        ({"url": HOOK["url"]}, "/owner", "required"),
        ({**HOOK, "owner": "nobody"}, "/owner", "invalid-email"),
        ({**HOOK, "owner": "a@b.example\r\nBcc: c@d.example"}, "/owner", "control"),
        ({**HOOK, "types": ["no.such"]}, "/types/0", "unknown"),
        ({**HOOK, "types": ["order.placed"] * 201}, "/types", "max-length"),
        ({**HOOK, "types": "order.placed"}, "/types", "not-a-list"),
        ({**HOOK, "description": "x" * 501}, "/description", "max-length"),
        ({**HOOK, "enabled": "true"}, "/enabled", "invalid"),
        ({**HOOK, "secret": "mine"}, "/secret", "unknown"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(caller, body, pointer, code):
    problem = assert_problem(caller.post(PATH, body), 400, "invalid")
    assert (pointer, code) in [(each["pointer"], each["code"]) for each in problem["errors"]]
    assert not WebhookEndpoint.objects.exists()


def test_a_call_with_a_key_makes_one_and_tells_the_same_secret_again(caller):
    first, again = (caller.post(PATH, HOOK, Idempotency_Key="k-1") for _ in range(2))
    assert first.json() == again.json()
    assert again["Idempotent-Replayed"] == "true"
    assert WebhookEndpoint.objects.count() == 1


def test_a_secret_that_nobody_can_read_any_more_is_told_of_as_that(caller):
    """Also where the answer was lost in which it was told."""
    new = caller.post(PATH, HOOK, Idempotency_Key="k-1").json()
    KeyedCall.objects.update(answer=None)
    again = caller.post(PATH, HOOK, Idempotency_Key="k-1").json()
    assert (again["id"], again["secret"]) == (new["id"], new["secret"])
    KeyedCall.objects.update(answer=None)
    WebhookEndpoint.objects.update(secret=b"sealed by a key that is gone")
    for path, body in (PATH, HOOK), (f"{PATH}/{new['id']}/test", None):
        assert_problem(caller.post(path, body, Idempotency_Key="k-1"), 409, "secret-unreadable")


def test_there_is_no_dry_run(caller):
    assert_problem(caller.post(f"{PATH}?dry_run=true", HOOK), 400, "invalid")
    assert not WebhookEndpoint.objects.exists()


def test_what_was_changed_meanwhile_is_not_changed_or_deleted_unseen(caller):
    path = f"{PATH}/{made(caller)['id']}"
    tag = caller.get(path)["ETag"]
    assert caller.get(path, If_None_Match=tag).status_code == 304
    assert caller.patch(path, {"description": "a"}, If_Match=tag).status_code == 200
    assert_problem(caller.patch(path, {"description": "b"}, If_Match=tag), 412, "version-conflict")
    assert_problem(caller.call("DELETE", path, None, If_Match=tag), 412, "version-conflict")
    assert WebhookEndpoint.objects.get().description == "a"
    assert caller.call("DELETE", path, None, If_Match=caller.get(path)["ETag"]).status_code == 204


def test_the_list_is_told_by_pages(caller):
    ids = [made(caller)["id"] for _ in range(3)]
    first = caller.get(f"{PATH}?limit=2").json()
    second = caller.get(first["next"].partition("/api/v1")[2]).json()
    assert [each["id"] for page in (first, second) for each in page["results"]] == ids
    assert second["next"] is None


def test_what_became_of_each_is_told_and_one_is_sent_again(caller, receiver):
    path = f"{PATH}/{made(caller, url=receiver.url, types=[REGISTERED])['id']}"
    receiver.answer = lambda one: Reply(500, body=b"no \0 room")
    customers = [str(shop.customer()) for _ in range(2)]
    send()
    found = caller.get(f"{path}/deliveries?limit=1").json()
    (latest,) = found["results"]
    assert (latest["stream_id"], latest["status"], latest["type"]) == (customers[1], "pending", REGISTERED)
    (attempt,) = latest["attempts"]
    assert (attempt["code"], attempt["error"], attempt["answer"]) == (500, "", "no \N{REPLACEMENT CHARACTER} room")
    rest = caller.get(found["next"].partition("/api/v1")[2]).json()
    assert [each["stream_id"] for each in rest["results"]] == customers[:1]
    receiver.answer = lambda _: Reply()
    assert caller.post(f"{path}/deliveries/{latest['id']}/resend").status_code == 202
    send()
    assert [each["id"] for each in caller.get(f"{path}/deliveries?status=done").json()["results"]] == [latest["id"]]
    assert caller.get(f"{path}/deliveries?type=order.placed").json()["results"] == []
    assert_problem(caller.get(f"{path}/deliveries?status=odd"), 400, "invalid")


def test_to_one_that_is_off_nothing_is_sent_again_and_what_is_not_there_is_not_found(caller, receiver):
    path = f"{PATH}/{made(caller, url=receiver.url, types=[REGISTERED])['id']}"
    shop.customer()
    send()
    row = WebhookDelivery.objects.get()
    assert caller.patch(path, {"enabled": False}).status_code == 200
    assert_problem(caller.post(f"{path}/deliveries/{row.pk}/resend"), 409, "endpoint-off")
    for number in (row.pk + 1, 10**30):
        assert_problem(caller.post(f"{path}/deliveries/{number}/resend"), 404, "not-found")
    other = made(caller)["id"]
    assert_problem(caller.post(f"{PATH}/{other}/deliveries/{row.pk}/resend"), 404, "not-found")
    assert_problem(caller.get(f"{PATH}/{new_id()}/deliveries"), 404, "not-found")


def test_a_test_message_tells_what_was_answered(caller, receiver):
    path = f"{PATH}/{made(caller, url=receiver.url)['id']}"
    receiver.answer = lambda _: Reply(202, body=b"thanks")
    answer = caller.post(f"{path}/test").json()
    assert (answer["code"], answer["answer"], answer["error"]) == (202, "thanks", "")
    assert [each["type"] for each in receiver.messages] == ["webhook.test"]
    assert not WebhookDelivery.objects.exists()


def test_one_that_is_switched_on_is_told_what_was_kept_and_not_what_was_recorded_meanwhile(caller, receiver):
    path = f"{PATH}/{made(caller, url=receiver.url, types=[REGISTERED])['id']}"
    before = str(shop.customer())
    feeding.catch_up([webhooks])
    caller.patch(path, {"enabled": False})
    shop.customer()
    send()
    assert receiver.received == []
    caller.patch(path, {"enabled": True})
    after = str(shop.customer())
    send()
    assert sorted(each["stream_id"] for each in receiver.messages) == sorted([before, after])
