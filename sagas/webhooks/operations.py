"""What staff do to endpoints of webhooks, and to what was sent to them."""

from typing import Annotated, Any, ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from msgspec import Meta

from eventstore.errors import Refused
from eventstore.operations.base import Operation, operation
from sagas.models import LONGEST_URL, WebhookDelivery, WebhookEndpoint
from sagas.webhooks import endpoints

ENDPOINTS = "endpoints"
"""What all of them are called, as the target of an operation."""

ADD = "sagas.add_webhookendpoint"
CHANGE = "sagas.change_webhookendpoint"
DELETE = "sagas.delete_webhookendpoint"
TEST = "sagas.test_webhookendpoint"
RESEND = "sagas.resend_webhookdelivery"
EVENTS = "eventstore.view_storedevent"
"""Whoever says where webhooks go can read what they tell, so they have to be allowed to."""

LONGEST_DESCRIPTION, LONGEST_OWNER = 500, 254

Url = Annotated[str, Meta(title="URL", description="Begins with https:// and leads to public addresses alone.")]
Owner = Annotated[str, Meta(title="owner", description="The e-mail address of who is told when it is switched off.")]
Types = Annotated[
    tuple[str, ...], Meta(title="event types", description="With commas or blanks between them; empty for all.")
]


class OfEndpoint(Operation, frozen=True, kw_only=True):
    """What is done to an endpoint, by its id."""

    ranks = frozenset()
    noun = "webhook endpoint"
    page = "sagas_webhookendpoint_change"

    @classmethod
    def concerns(cls, target: str) -> bool:
        return _known(target) is not None

    def endpoint(self) -> WebhookEndpoint:
        found = _known(self.target)
        if found is None:
            raise Refused("There is no such endpoint.")
        return found


@operation("add-webhook-endpoint", verb="Add an endpoint", permission=ADD)
class AddEndpoint(Operation, frozen=True, kw_only=True):
    """Tell another system of events, from now on."""

    ranks = frozenset()
    page = "sagas_webhookendpoint_changelist"
    further_permissions = (EVENTS,)

    target: str = ENDPOINTS
    url: Url
    owner: Owner
    types: Types = ()
    description: str = ""

    @classmethod
    def concerns(cls, target: str) -> bool:
        return target == ENDPOINTS

    def preview(self) -> str:
        _check(self.url, self.owner, self.types, self.description)
        return f"{self.url} is told of {_told(self.types)}, from now on. What is told holds personal data."

    def carry_out(self, *, by: str, reason: str) -> str:
        _check(self.url, self.owner, self.types, self.description)
        said: dict[str, Any] = {"types": sorted(set(self.types)), "description": self.description}
        endpoints.create(WebhookEndpoint(url=self.url, owner=self.owner, created_by=by, **said))
        return "one was added; its secret can be shown once, on its page"


@operation("change-webhook-endpoint", verb="Change", permission=CHANGE)
class ChangeEndpoint(OfEndpoint, frozen=True, kw_only=True):
    """Change where webhooks go, of what is told, or who is told when they are switched off."""

    further_permissions = (EVENTS,)

    url: Url
    owner: Owner
    types: Types = ()
    description: str = ""

    def preview(self) -> str:
        self.endpoint()
        _check(self.url, self.owner, self.types, self.description)
        return f"{self.url} is told of {_told(self.types)}, and of what is still to be sent by then."

    def carry_out(self, *, by: str, reason: str) -> str:
        _check(self.url, self.owner, self.types, self.description)
        said: dict[str, Any] = {"types": sorted(set(self.types)), "description": self.description}
        endpoints.change(self.endpoint(), url=self.url, owner=self.owner, **said)
        return "changed"


@operation("switch-webhook-endpoint-on", verb="Switch on", permission=CHANGE)
class SwitchEndpointOn(OfEndpoint, frozen=True, kw_only=True):
    """Send what was kept for it, and what is recorded from now on."""

    further_permissions = (EVENTS,)

    def preview(self) -> str:
        endpoint = self.endpoint()
        kept = WebhookDelivery.objects.filter(endpoint=endpoint, status=WebhookDelivery.Status.PENDING).count()
        return (
            f"{endpoint.url} is sent what was kept for it ({kept:,}), and told of what is recorded from now on. It is"
            " not told of what was recorded while it was off."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        endpoints.switch_on(self.endpoint())
        return "switched on"


@operation("switch-webhook-endpoint-off", verb="Switch off", permission=CHANGE)
class SwitchEndpointOff(OfEndpoint, frozen=True, kw_only=True):
    """Send nothing to it, and keep nothing new for it."""

    def preview(self) -> str:
        return (
            f"Nothing is sent to {self.endpoint().url} any more. What is still to be sent is kept; of what is recorded"
            " from now on it is not told."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        endpoints.switch_off(self.endpoint())
        return "switched off"


@operation("rotate-webhook-secret", verb="New secret", permission=CHANGE)
class RotateSecret(OfEndpoint, frozen=True, kw_only=True):
    """Draw another secret. For a while webhooks are signed by the former one too."""

    def preview(self) -> str:
        return f"{self.endpoint().url} gets another secret. Its owner has to be given it before the former one ends."

    def carry_out(self, *, by: str, reason: str) -> str:
        endpoints.rotate(self.endpoint())
        return "has another secret, which can be shown once, on its page"


@operation("test-webhook-endpoint", verb="Send a test", permission=TEST)
class SendTest(OfEndpoint, frozen=True, kw_only=True):
    """Send a message of the type webhook.test, and tell what is answered."""

    def preview(self) -> str:
        return f"{self.endpoint().url} is sent a message of the type webhook.test, signed like any other."

    def carry_out(self, *, by: str, reason: str) -> str:
        answer = endpoints.send_test(self.endpoint())
        if answer.code is None:
            return f"did not answer: {answer.error.rstrip('.')}"
        return f"answered {answer.code} in {answer.seconds:.2f} s" + (f": {answer.body}" if answer.body else "")


@operation("delete-webhook-endpoint", verb="Delete", permission=DELETE)
class DeleteEndpoint(OfEndpoint, frozen=True, kw_only=True):
    """Forget an endpoint, with all that is kept for it."""

    page = ""

    def preview(self) -> str:
        endpoint = self.endpoint()
        number = WebhookDelivery.objects.filter(endpoint=endpoint).count()
        return f"{endpoint.url} is forgotten, with what became of {number:,} webhooks and with those still to be sent."

    def carry_out(self, *, by: str, reason: str) -> str:
        with transaction.atomic():
            WebhookEndpoint.objects.select_for_update().get(pk=self.endpoint().pk).delete()
        return "deleted"


@operation("resend-webhook", verb="Send again", permission=RESEND)
class ResendWebhook(OfEndpoint, frozen=True, kw_only=True):
    """Send a webhook once more, under the same id; one that is still to be sent, at once."""

    needed: ClassVar[tuple[str, ...]] = ("pending", "done", "failed")

    delivery: Annotated[int, Meta(description="Its number in the list.")]

    def preview(self) -> str:
        found = self._asked().first()
        if found is None:
            raise Refused("There is no such delivery.")
        return f"{found.type} at {found.position:,} is sent to {found.endpoint.url} once more."

    def carry_out(self, *, by: str, reason: str) -> str:
        if not endpoints.resend(self._asked()):
            raise Refused("There is no such delivery.")
        return "being sent"

    def _asked(self) -> Any:
        return WebhookDelivery.objects.filter(pk=self.delivery, endpoint=self.endpoint())


def _known(target: str) -> WebhookEndpoint | None:
    try:
        return WebhookEndpoint.objects.filter(pk=UUID(target)).first()
    except ValueError:
        return None


def _told(types: tuple[str, ...]) -> str:
    return ", ".join(sorted(set(types))) or "every event"


def _check(url: str, owner: str, types: tuple[str, ...], description: str) -> None:
    """Raises `Refused`."""
    endpoints.check_url(url)
    if len(url) > LONGEST_URL or len(owner) > LONGEST_OWNER or len(description) > LONGEST_DESCRIPTION:
        raise Refused("That is too long.")
    if not description.isprintable():
        raise Refused("There is a control character in the description.")
    try:
        validate_email(owner)
    except ValidationError:
        raise Refused("The owner's address is none of mail.") from None
    if unknown := endpoints.unknown_types(types):
        raise Refused(f"No event is called {unknown[0]}.")
    if len(types) > endpoints.MOST_TYPES:
        raise Refused(f"More than {endpoints.MOST_TYPES} event types are named.")
