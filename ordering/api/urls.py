"""The API: what can be called, at a glance."""

from django.urls import path, register_converter
from django.urls.converters import UUIDConverter

from ordering.api import docs
from ordering.api.auth import OneToken, Token, Tokens
from ordering.api.conferences import Conferences, OneConference
from ordering.api.consumers import Consumers, OneConsumer
from ordering.api.customers import Customers, OneCustomer
from ordering.api.email_confirmation import Confirmation, EmailLink
from ordering.api.feed import Feed
from ordering.api.orders import Cancellation, History, OneOrder, Orders, Payments, Quantities, StatusMail
from ordering.api.password_reset import NewPassword, Reset
from ordering.api.payments import SandboxPayment, Webhook
from ordering.api.waitlist import Acceptance, Entries, OneEntry, Refusal
from ordering.api.webhook_endpoints import (
    OneWebhookEndpoint,
    SecretRotation,
    WebhookDeliveries,
    WebhookEndpoints,
    WebhookResending,
    WebhookTest,
)


class IdConverter(UUIDConverter):
    """A UUID, which is the same in capital letters."""

    regex = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


register_converter(IdConverter, "id")

urlpatterns = [
    path("auth/token", Token.as_view()),
    path("auth/tokens", Tokens.as_view()),
    path("auth/tokens/<id:token_id>", OneToken.as_view()),
    path("auth/password/reset", Reset.as_view()),
    path("auth/password", NewPassword.as_view()),
    path("auth/email/confirm", Confirmation.as_view()),
    path("customers", Customers.as_view()),
    path("customers/<id:customer_id>", OneCustomer.as_view(), name="customer"),
    path("customers/<id:customer_id>/email-link", EmailLink.as_view()),
    path("conferences", Conferences.as_view()),
    path("conferences/<id:conference_id>", OneConference.as_view()),
    path("orders", Orders.as_view()),
    path("orders/<id:order_id>", OneOrder.as_view(), name="order"),
    path("orders/<id:order_id>/cancel", Cancellation.as_view()),
    path("orders/<id:order_id>/payments", Payments.as_view()),
    path("orders/<id:order_id>/quantities", Quantities.as_view()),
    path("orders/<id:order_id>/status-mail", StatusMail.as_view()),
    path("orders/<id:order_id>/history", History.as_view()),
    path("waitlist", Entries.as_view()),
    path("waitlist/<id:entry_id>", OneEntry.as_view(), name="waitlist-entry"),
    path("waitlist/<id:entry_id>/accept", Acceptance.as_view()),
    path("waitlist/<id:entry_id>/decline", Refusal.as_view()),
    path("webhooks/payments/<str:provider>", Webhook.as_view()),
    path("sandbox/payments/<id:payment_id>", SandboxPayment.as_view(), name="sandbox-payment"),
    path("events", Feed.as_view()),
    path("consumers", Consumers.as_view()),
    path("consumers/<str:name>", OneConsumer.as_view()),
    path("webhook-endpoints", WebhookEndpoints.as_view()),
    path("webhook-endpoints/<id:endpoint_id>", OneWebhookEndpoint.as_view()),
    path("webhook-endpoints/<id:endpoint_id>/rotate", SecretRotation.as_view()),
    path("webhook-endpoints/<id:endpoint_id>/test", WebhookTest.as_view()),
    path("webhook-endpoints/<id:endpoint_id>/deliveries", WebhookDeliveries.as_view()),
    path(
        "webhook-endpoints/<id:endpoint_id>/deliveries/<int:delivery_id>/resend",
        WebhookResending.as_view(),
    ),
    path("schema", docs.Schema.as_view(), name="schema"),
    path("docs", docs.Page.as_view(), name="api-docs"),
]
