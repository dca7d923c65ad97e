"""How tests read pages of the admin, and press their buttons."""

from django.urls import reverse

from eventstore.models import OperatorAction

MODELS = ("instance", "outboxcommand", "timer", "delivery")
INSTANCES, COMMANDS, TIMERS, LEDGER = (f"/admin/sagas/{name}/" for name in MODELS)
SEE = [f"sagas.view_{name}" for name in MODELS]
SETTLE = "sagas.resolve_command"
GIVE_UP = {"sagas.abandon_command", "sagas.abandon_delivery"}
PERMISSIONS = {SETTLE, "sagas.resolve_timer", "sagas.resolve_delivery", "sagas.copy_delivery", *GIVE_UP}
WHY = {"reason": "a customer called"}


def url(operation, subscriber):
    return reverse("admin:eventstore_operation", args=[operation, subscriber])


def story(key, saga="sale"):
    return reverse("admin:sagas_history", args=[saga, key])


def event(position):
    return reverse("admin:eventstore_storedevent_change", args=[position])


def text(answer):
    return " ".join(answer.content.decode().split())


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def actions():
    return list(OperatorAction.objects.order_by("id").values_list("operation", "target", "by", "reason", "refused"))


def listed(client, address, **filters):
    return list(client.get(address, filters).context["cl"].result_list)


def selected(action, rows, **more):
    """What is sent when an action is run on these rows of a list."""
    return {"action": action, "_selected_action": [row.pk for row in rows], **more}


def labels(client, address):
    """The buttons on the page of a row."""
    return [each.label for each in client.get(address).context["offers"]]


def offered(client, name):
    """The operations with a button on the page of a subscriber."""
    page = client.get(reverse("admin:eventstore_subscriber", args=[name]))
    return {operation for operation, _ in page.context["offers"]}
