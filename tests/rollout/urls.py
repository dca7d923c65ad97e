from uuid import UUID

from django.apps import apps
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

from config.urls import handler400, handler404, handler500, urlpatterns  # noqa: F401 - Django's
from eventstore import repository
from ordering.api.views import View
from tests.rollout.apps import RolloutConfig
from tests.rollout.common import Pack, SendOff


class OneParcel(View):
    scope = None
    permission_classes = [AllowAny]

    def get(self, request, parcel_id: UUID):
        rollout = apps.get_app_config("rollout")
        assert isinstance(rollout, RolloutConfig)
        return Response({"version": repository.get(rollout.release.Parcel, parcel_id).version})

    def post(self, request, parcel_id: UUID):
        self.send(Pack(parcel_id=parcel_id, **request.data))
        return Response(status=201)


class SendingOff(View):
    scope = None
    permission_classes = [AllowAny]

    def post(self, request, parcel_id: UUID):
        self.send(SendOff(parcel_id=parcel_id))
        return Response(status=201)


urlpatterns = [
    path("api/v1/parcels/<uuid:parcel_id>", OneParcel.as_view()),
    path("api/v1/parcels/<uuid:parcel_id>/send-off", SendingOff.as_view()),
    *urlpatterns,
]
