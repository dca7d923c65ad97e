"""The API: what can be called, at a glance."""

from django.http import Http404
from django.urls import path, re_path
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from ordering.api import docs
from ordering.api.auth import Token
from ordering.api.conferences import Conferences, OneConference
from ordering.api.customers import Customers, OneCustomer
from ordering.api.orders import Cancellation, History, OneOrder, Orders, StatusMail
from ordering.api.payments import SandboxPayment, Webhook
from ordering.api.views import View


@extend_schema(exclude=True)
class Nothing(View):
    """Whatever else is asked for."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        raise Http404


urlpatterns = [
    path("auth/token", Token.as_view()),
    path("customers", Customers.as_view()),
    path("customers/<uuid:customer_id>", OneCustomer.as_view(), name="customer"),
    path("conferences", Conferences.as_view()),
    path("conferences/<uuid:conference_id>", OneConference.as_view()),
    path("orders", Orders.as_view()),
    path("orders/<uuid:order_id>", OneOrder.as_view(), name="order"),
    path("orders/<uuid:order_id>/cancel", Cancellation.as_view()),
    path("orders/<uuid:order_id>/status-mail", StatusMail.as_view()),
    path("orders/<uuid:order_id>/history", History.as_view()),
    path("webhooks/payments/<str:provider>", Webhook.as_view()),
    path("sandbox/payments/<uuid:payment_id>", SandboxPayment.as_view(), name="sandbox-payment"),
    path("schema", docs.Schema.as_view(), name="schema"),
    path("docs", docs.Page.as_view()),
    re_path("", Nothing.as_view()),
]
