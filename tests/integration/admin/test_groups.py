"""The ready-made groups: a viewer sees every panel and can press nothing, an operator mends, a manager decides."""

import re
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import RequestFactory
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone

from config import groups
from eventstore.models import Incident, OperatorAction, StoredEvent, SubscriberRow
from eventstore.operations.base import operations
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from ordering.admin.acts import ActsAdmin
from sagas.models import WebhookEndpoint
from sagas.webhooks.operations import ENDPOINTS
from tests.integration import shop, troubles
from tests.integration.admin.reading import text

pytestmark = pytest.mark.usefixtures("clean")

APPS = ("eventstore", "projections", "sagas", "ordering")
IRREVERSIBLE = {
    *("skip", "discard", "retire", "confirm", "abandon-command", "abandon-delivery"),
    *("add-webhook-endpoint", "change-webhook-endpoint", "switch-webhook-endpoint-on"),
    *("switch-webhook-endpoint-off", "rotate-webhook-secret", "delete-webhook-endpoint"),
}


@pytest.fixture
def member(client):
    """Logs a member of a ready-made group in."""

    def enter(group: str) -> User:
        groups.make()
        user = User.objects.create_user("ada", is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        client.force_login(user)
        return user

    return enter


@pytest.fixture
def targets():
    """Something of each kind that operations are done to."""
    gone = {"rank": Rank.PROJECTION, "mode": "sync", "version": 1, "types_hash": "", "checkpoint": 0}
    SubscriberRow.objects.create(name="gone", subscriber="gone", status="paused", **gone)
    now = timezone.now()
    incident = Incident.objects.create(kind="unbalanced", about="1", text="", began_at=now, seen_at=now)
    hook = WebhookEndpoint.objects.create(url="https://hooks.example", owner="a@b.example", secret=b"", begins_after=0)
    return [*(each.name for each in registry), "gone", "log", ENDPOINTS, str(incident.pk), str(hook.pk)]


def allowed(user):
    return {kind.word for kind in operations if kind.is_allowed(user)}


def done():
    """All that people leave behind who change something."""
    return OperatorAction.objects.count(), LogEntry.objects.count(), StoredEvent.objects.count()


def test_a_viewer_is_refused_every_operation_that_there_is(client, member, targets):
    member("viewer")
    for kind in operations:
        target = next(each for each in targets if kind.concerns(each))
        address = reverse("admin:eventstore_operation", args=[kind.word, target])
        assert (client.get(address).status_code, client.post(address).status_code) == (403, 403), kind.word
    assert done()[:2] == (0, 0)


def test_a_viewer_has_no_action_on_what_is_selected_nor_anything_to_add_or_change(member):
    request = RequestFactory().get("/")
    request.user = member("viewer")
    for model, page in admin.site._registry.items():
        rights = [page.has_add_permission(request), page.has_change_permission(request)]
        assert [*rights, page.has_delete_permission(request)] == [False] * 3, model
        assert page.get_actions(request) == {}, model


def test_a_viewer_is_refused_all_that_staff_do_about_the_business(client, member):
    member("viewer")
    pages = [page for page in admin.site._registry.values() if isinstance(page, ActsAdmin)]
    assert len(pages) > 3
    for page in pages:
        for word in page.acts:
            address = page.act_url(uuid4(), word)
            assert (client.get(address).status_code, client.post(address).status_code) == (403, 403), word


def test_whatever_address_a_viewer_posts_to_nothing_is_done(client, member, targets):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    user = member("viewer")
    before, patterns = done(), list(addresses())
    assert len(patterns) > 50
    sent = {"action": "retry_selected", "_selected_action": "1", "confirmed": "yes"}
    values = {"row_id": order, "subscriber": "sale", "operation": "pause", "saga": "sale", "key": order}
    for pattern in patterns:
        parts = re.sub(r"<(?:\w+:)?(\w+)>", lambda each: str(values.get(each[1], 1)), pattern)
        answer = client.post(f"/admin/{parts}", sent)
        assert answer.status_code in {200, 302, 400, 403, 404, 405}, parts
    assert done() == before
    user.refresh_from_db()
    assert (user.is_staff, user.groups.count()) == (True, 1)


def addresses():
    """The patterns of all addresses of the four apps in the admin."""
    resolvers = [each for each in get_resolver().url_patterns if isinstance(each, URLResolver)]
    (site,) = [each for each in resolvers if each.app_name == "admin"]
    for each in site.url_patterns:
        if isinstance(each, URLResolver) and str(each.pattern).startswith(APPS):
            yield from (f"{each.pattern}{inner.pattern}" for inner in each.url_patterns)


def test_a_viewer_sees_every_list_and_no_button_on_it(client, member):
    troubles.failed_mails(1)
    member("viewer")
    for model in admin.site._registry:
        if model._meta.app_label in APPS:
            page = client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
            assert page.status_code == 200, model
            assert "/operate/" not in text(page), model
            assert "_selected_action" not in text(page), model


def test_an_operator_mends_and_decides_nothing_that_cannot_be_taken_back(member):
    user = member("operator")
    assert allowed(user) == {kind.word for kind in operations} - IRREVERSIBLE
    assert not user.has_perm("ordering.refund_payment")
    assert not user.has_perm("eventstore.run_import")


def test_a_manager_may_do_all_that_the_code_declares_and_give_no_rights(member):
    user = member("manager")
    assert allowed(user) == {kind.word for kind in operations}
    acts = [act for page in admin.site._registry.values() if isinstance(page, ActsAdmin) for act in page.acts.values()]
    assert all(user.has_perm(act.permission) for act in acts)
    assert not any(user.has_perm(f"auth.{act}_{kind}") for act in ("add", "change") for kind in ("user", "group"))


def test_every_permission_of_a_group_is_one_that_there_is():
    groups.make()
    for name in groups.NAMES:
        assert groups.standing(name) == groups.Standing(name, exists=True, more=[], lacks=[])


def test_what_staff_made_of_a_group_stays_over_a_deployment(capsys):
    groups.make()
    operator = Group.objects.get(name="operator")
    operator.permissions.remove(Permission.objects.get(codename="copy_delivery"))
    operator.permissions.add(Permission.objects.get(codename="refund_payment"))
    Group.objects.get(name="viewer").delete()
    groups.on_migrated(using="default", apps=apps)
    call_command("groups", "list")
    assert capsys.readouterr().out.splitlines() == [
        "viewer: is not there",
        "operator: changed by staff",
        "  + ordering.refund_payment",
        "  - sagas.copy_delivery",
        "manager: as it was made",
    ]
    call_command("groups", "restore", "operator")
    assert capsys.readouterr().out == "operator: as it was made\n"
    call_command("groups", "restore", "viewer")
    assert Group.objects.get(name="viewer").permissions.exists()
