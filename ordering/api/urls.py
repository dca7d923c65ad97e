"""The API: what can be called, at a glance."""

from django.urls import path

from ordering.api import docs
from ordering.api.auth import Token
from ordering.api.conferences import Conferences, OneConference
from ordering.api.customers import Customers, OneCustomer
from ordering.api.orders import Cancellation, History, OneOrder, Orders, Payments, Quantities, StatusMail
from ordering.api.payments import SandboxPayment, Webhook

urlpatterns = [
    path("auth/token", Token.as_view()),
    path("customers", Customers.as_view()),
    path("customers/<uuid:customer_id>", OneCustomer.as_view(), name="customer"),
    path("conferences", Conferences.as_view()),
    path("conferences/<uuid:conference_id>", OneConference.as_view()),
    path("orders", Orders.as_view()),
    path("orders/<uuid:order_id>", OneOrder.as_view(), name="order"),
    path("orders/<uuid:order_id>/cancel", Cancellation.as_view()),
    path("orders/<uuid:order_id>/payments", Payments.as_view()),
    path("orders/<uuid:order_id>/quantities", Quantities.as_view()),
    path("orders/<uuid:order_id>/status-mail", StatusMail.as_view()),
    path("orders/<uuid:order_id>/history", History.as_view()),
    path("webhooks/payments/<str:provider>", Webhook.as_view()),
    path("sandbox/payments/<uuid:payment_id>", SandboxPayment.as_view(), name="sandbox-payment"),
    path("schema", docs.Schema.as_view(), name="schema"),
    path("docs", docs.Page.as_view()),
]
