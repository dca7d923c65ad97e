"""Three groups to put staff into: who may look, who may also mend, and who may also decide what can't be taken back.

They are made once. What superusers make of them afterwards stays, also over a deployment.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.apps import apps as installed
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ObjectDoesNotExist
from django.db import DEFAULT_DB_ALIAS

VIEWER, OPERATOR, MANAGER = "viewer", "operator", "manager"
NAMES = (VIEWER, OPERATOR, MANAGER)

APPS = ("eventstore", "projections", "sagas", "ordering")

MENDING = {
    "eventstore.change_incident",
    "eventstore.operate_subscriber",
    "eventstore.resolve_parked",
    "ordering.request_status_mail",
    "projections.rebuild_projection",
    "projections.verify_projection",
    "sagas.copy_delivery",
    "sagas.rehearse_saga",
    "sagas.resend_webhookdelivery",
    "sagas.resolve_command",
    "sagas.resolve_delivery",
    "sagas.resolve_timer",
    "sagas.test_webhookendpoint",
}
"""What operators may do: nothing of it leaves an event out, gives up a command, or moves money."""

DECIDING = {
    "ordering.add_conferencesummary",
    "ordering.change_conferencesummary",
    "sagas.add_webhookendpoint",
    "sagas.change_webhookendpoint",
    "sagas.delete_webhookendpoint",
}
"""What managers may do beside all that has a permission of its own."""


class Standing(NamedTuple):
    """A group as it stands: the permissions that it has beside those it was made with, and those that it lacks."""

    name: str
    exists: bool
    more: Sequence[str]
    lacks: Sequence[str]


def delivered(name: str) -> set[str]:
    """The permissions that a group is made with. Raises KeyError for one that isn't ready-made."""
    seen = {"admin.view_logentry"} | {f"{app}.view_{model}" for app, model in _models()}
    return {VIEWER: seen, OPERATOR: seen | MENDING, MANAGER: seen | MENDING | DECIDING | _own()}[name]


def make(*, using: str = DEFAULT_DB_ALIAS, apps: Any = installed) -> None:
    """Make the groups where none of them is there; any that is shows that staff have seen to them."""
    groups = apps.get_model("auth", "Group")._default_manager.using(using)
    if not groups.filter(name__in=NAMES).exists():
        for name in NAMES:
            _fill(groups.create(name=name), name, apps, using)


def on_migrated(*, using: str, apps: Any = installed, **_: Any) -> None:
    """Not while the tables of users aren't made yet."""
    try:
        apps.get_model("auth", "Group")
    except LookupError:
        return
    make(using=using, apps=apps)


def restore(name: str) -> None:
    """Make a group what it was delivered as, also one that was deleted."""
    group, _ = Group.objects.get_or_create(name=name)
    _fill(group, name, installed, DEFAULT_DB_ALIAS)


def standing(name: str) -> Standing:
    """How a group differs from what it was delivered as."""
    try:
        group = Group.objects.get(name=name)
    except ObjectDoesNotExist:
        return Standing(name, exists=False, more=[], lacks=[])
    held = {f"{app}.{codename}" for app, codename in group.permissions.values_list(*_NAMED)}
    meant = delivered(name)
    return Standing(name, exists=True, more=sorted(held - meant), lacks=sorted(meant - held))


_NAMED = ("content_type__app_label", "codename")


def _fill(group: Any, name: str, apps: Any, using: str) -> None:
    wanted = delivered(name)
    known = apps.get_model("auth", Permission.__name__)._default_manager.using(using)
    group.permissions.set([each for each in known.select_related("content_type") if _full(each) in wanted])


def _full(permission: Any) -> str:
    return f"{permission.content_type.app_label}.{permission.codename}"


def _models() -> list[tuple[str, str]]:
    return [
        (model._meta.app_label, str(model._meta.model_name))
        for app in APPS
        for model in installed.get_app_config(app).get_models()
        if "view" in model._meta.default_permissions
    ]


def _own() -> set[str]:
    """What models declare beside Django's own permissions."""
    return {
        f"{app}.{codename}"
        for app in APPS
        for model in installed.get_app_config(app).get_models()
        for codename, _ in model._meta.permissions
    }
