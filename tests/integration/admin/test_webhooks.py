"""Webhooks in the admin: endpoints are added, changed, tried and switched, and what failed is sent again."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from eventstore.context import new_id
from eventstore.models import OperatorAction
from eventstore.subscriptions import feeding
from sagas.models import WebhookDelivery, WebhookEndpoint
from sagas.webhooks import delivery, endpoints
from sagas.webhooks.subscriber import webhooks
from tests.integration import shop
from tests.integration.admin.reading import labels, listed, said, selected, text, url
from tests.integration.receiver import Receiver, Reply

pytestmark = pytest.mark.usefixtures("clean")

REGISTERED = "customer.registered"
ENDPOINTS, DELIVERIES = "/admin/sagas/webhookendpoint/", "/admin/sagas/webhookdelivery/"
VIEW = ("sagas.view_webhookendpoint", "sagas.view_webhookdelivery")
HOOK: Any = {"url": "https://hooks.example/a", "owner": "ops@example.org", "types": f"{REGISTERED}, order.placed"}


@pytest.fixture
def boss(staff):
    return staff(superuser=True)


@pytest.fixture
def receiver(settings, monkeypatch):
    monkeypatch.setattr(delivery, "FIRST_RETRY", 60.0)  # on a busy machine sending may take some seconds
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES, settings.WEBHOOKS_TIMEOUT_SECONDS = True, 50.0
    with Receiver().running() as started:
        yield started


@pytest.fixture
def endpoint(receiver):
    made = WebhookEndpoint(url=receiver.url, owner="ops@example.org", types=[REGISTERED])
    endpoints.create(made)
    return made


def send():
    feeding.catch_up([webhooks])
    delivery.send_due()


def confirmed(client, word, target, **answers):
    """Fills in the form of an operation, and confirms what it shows."""
    shown = client.get(url(word, target), answers)
    if not shown.context.get("previews"):
        return shown
    return client.post(url(word, target), dict(shown.context["hidden"]), follow=True)


def page_of(endpoint):
    return f"{ENDPOINTS}{endpoint.pk}/change/"


def test_an_endpoint_is_added_and_its_secret_shown_once(client, boss):
    assert "Add an endpoint" in text(client.get(ENDPOINTS))
    answer = confirmed(client, "add-webhook-endpoint", "endpoints", **HOOK, description="Ours")
    assert "one was added" in said(answer)[-1]
    made = WebhookEndpoint.objects.get()
    assert (made.url, made.owner, made.types) == (HOOK["url"], HOOK["owner"], [REGISTERED, "order.placed"])
    assert (made.created_by, made.description) == ("ada", "Ours")
    assert listed(client, ENDPOINTS) == [made]
    address = reverse("admin:sagas_webhook_secret", args=[made.pk])
    assert address in text(client.get(page_of(made)))
    secret = endpoints.secret_of(made)
    assert secret not in text(client.get(address))
    shown = client.post(address)
    assert secret in text(shown)
    assert "no-store" in shown["Cache-Control"]
    assert secret not in text(client.post(address))
    assert address not in text(client.get(page_of(made)))
    assert not [each for each in OperatorAction.objects.all() if secret in str((each.outcome, each.details))]


def test_the_front_page_tells_of_one_that_was_switched_off(client, boss, endpoint, receiver):
    receiver.answer = lambda _: Reply(410)
    shop.customer()
    send()
    assert "was switched off. It answered 410 Gone" in text(client.get("/admin/"))


def test_what_is_sent_twice_adds_one(client, boss):
    form = dict(client.get(url("add-webhook-endpoint", "endpoints"), HOOK).context["hidden"])
    for _ in range(2):
        assert client.post(url("add-webhook-endpoint", "endpoints"), form).status_code == 302
    assert WebhookEndpoint.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"url": "http://hooks.example/"}, "https://"),
        ({"url": "https://192.168.0.1/"}, "no public address"),
        ({"owner": "nobody"}, "none of mail"),
        ({"types": "no.such"}, "No event is called no.such."),
        ({"description": "x" * 501}, "too long"),
    ],
)
def test_what_is_wrong_is_said_before_it_is_done(client, boss, wrong, why):
    answer = confirmed(client, "add-webhook-endpoint", "endpoints", **{**HOOK, **wrong})
    assert why in text(answer)
    assert not WebhookEndpoint.objects.exists()


def test_an_endpoint_is_changed_in_a_form_that_says_what_there_is(client, boss, endpoint, receiver):
    (change,) = [each for each in client.get(page_of(endpoint)).context["offers"] if each.label == "Change"]
    form = client.get(change.url).context["form"]
    answers = {name: form[name].value() for name in form.fields}
    assert answers == {"url": receiver.url, "owner": "ops@example.org", "types": REGISTERED, "description": ""}
    confirmed(client, "change-webhook-endpoint", endpoint.pk, **{**answers, "owner": "new@example.org"})
    endpoint.refresh_from_db()
    assert (endpoint.owner, endpoint.url, endpoint.types) == ("new@example.org", receiver.url, [REGISTERED])


def test_a_test_shows_what_was_answered(client, boss, endpoint, receiver):
    receiver.answer = lambda _: Reply(403, body=b"<b>who are you?</b>")
    answer = confirmed(client, "test-webhook-endpoint", endpoint.pk)
    assert "answered 403" in said(answer)[-1]
    assert "&lt;b&gt;who are you?" in text(answer)
    assert [each["type"] for each in receiver.messages] == ["webhook.test"]


def test_one_is_switched_off_and_on_given_another_secret_and_deleted(client, boss, endpoint):
    assert labels(client, page_of(endpoint)) == ["Change", "Switch off", "Send a test", "New secret", "Delete"]
    confirmed(client, "switch-webhook-endpoint-off", endpoint.pk)
    assert labels(client, page_of(endpoint))[1] == "Switch on"
    assert listed(client, ENDPOINTS, enabled__exact="1") == []
    confirmed(client, "switch-webhook-endpoint-on", endpoint.pk)
    before = endpoints.secret_of(endpoint)
    WebhookEndpoint.objects.update(secret_unseen=False)
    confirmed(client, "rotate-webhook-secret", endpoint.pk)
    endpoint.refresh_from_db()
    assert endpoints.secret_of(endpoint) != before
    assert (endpoint.enabled, endpoint.secret_unseen) == (True, True)
    confirmed(client, "delete-webhook-endpoint", endpoint.pk)
    assert not WebhookEndpoint.objects.exists()


def test_what_failed_is_seen_with_each_answer_and_sent_again_alone_or_with_others(client, boss, endpoint, receiver):
    receiver.answer = lambda _: Reply(500, body=b"out of <i>order</i>")
    for _ in range(3):
        shop.customer()
    send()
    WebhookDelivery.objects.update(status="failed")
    rows = listed(client, DELIVERIES, status__exact="failed", endpoint=str(endpoint.pk))
    assert len(rows) == 3
    assert listed(client, DELIVERIES, q=str(rows[0].position)) == rows[:1]
    assert listed(client, DELIVERIES, q=str(rows[1].stream_id)) == [rows[1]]
    assert listed(client, DELIVERIES, status__exact="done") == []
    page = text(client.get(f"{DELIVERIES}{rows[0].pk}/change/"))
    assert "<strong>" in page
    assert "500" in page
    assert "out of &lt;i&gt;order" in page
    receiver.answer = lambda _: Reply()
    confirmed(client, "resend-webhook", endpoint.pk, delivery=rows[0].pk)
    form = client.post(DELIVERIES, selected("resend_selected", rows[1:]))
    client.post(
        DELIVERIES, {**selected("resend_selected", rows[1:]), **dict(form.context["hidden"][:1]), "confirmed": "yes"}
    )
    send()
    assert set(WebhookDelivery.objects.values_list("status", flat=True)) == {"done"}


def test_who_only_looks_has_no_buttons_and_may_press_none(client, staff, endpoint):
    staff(*VIEW)
    shop.customer()
    feeding.catch_up([webhooks])
    assert labels(client, page_of(endpoint)) == []
    secret = reverse("admin:sagas_webhook_secret", args=[endpoint.pk])
    page = text(client.get(page_of(endpoint)))
    assert secret not in page
    assert "Add an endpoint" not in text(client.get(ENDPOINTS))
    assert labels(client, f"{DELIVERIES}{WebhookDelivery.objects.get().pk}/change/") == []
    for word in ("switch-webhook-endpoint-off", "delete-webhook-endpoint", "rotate-webhook-secret"):
        assert client.post(url(word, endpoint.pk), {}).status_code == 403
    assert client.post(url("add-webhook-endpoint", "endpoints"), HOOK).status_code == 403
    assert client.post(secret).status_code == 403
    endpoint.refresh_from_db()
    assert endpoint.secret_unseen


def test_who_may_only_test_has_that_button_alone(client, staff, endpoint):
    staff(*VIEW, "sagas.test_webhookendpoint")
    assert labels(client, page_of(endpoint)) == ["Send a test"]


def test_who_may_not_see_events_has_none_sent_anywhere(client, staff, endpoint):
    managing = [f"sagas.{each}_webhookendpoint" for each in ("add", "change", "delete", "test")]
    user = staff(*VIEW, *managing)
    assert labels(client, page_of(endpoint)) == ["Switch off", "Send a test", "New secret", "Delete"]
    assert "Add an endpoint" not in text(client.get(ENDPOINTS))
    assert client.post(url("add-webhook-endpoint", "endpoints"), HOOK).status_code == 403
    assert client.post(url("change-webhook-endpoint", endpoint.pk), HOOK).status_code == 403
    confirmed(client, "switch-webhook-endpoint-off", endpoint.pk)
    assert client.post(url("switch-webhook-endpoint-on", endpoint.pk), {}).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_storedevent"))
    confirmed(client, "switch-webhook-endpoint-on", endpoint.pk)
    endpoint.refresh_from_db()
    assert (endpoint.url != HOOK["url"], endpoint.enabled) == (True, True)
    assert "Add an endpoint" in text(client.get(ENDPOINTS))


def test_what_is_not_there_is_not_found(client, boss, endpoint):
    for target in (new_id(), "nonsense"):
        assert client.get(url("switch-webhook-endpoint-off", target)).status_code == 404
    assert client.get(reverse("admin:sagas_webhook_secret", args=[new_id()])).status_code == 404
    assert client.get(f"{ENDPOINTS}nonsense/change/").status_code == 302
    assert client.get(DELIVERIES, {"endpoint": "nonsense"}).status_code == 302
    assert client.get(DELIVERIES, {"q": "nonsense"}).status_code == 302
