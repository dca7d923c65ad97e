"""A call that is not to be used any more says so with each answer, and in the contract."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import get_resolver, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore.errors import StreamNotFound
from ordering.api.deprecation import Deprecation, deprecated
from ordering.api.serializers import Shape
from ordering.api.views import View
from tests.integration.api.caller import V1, Caller, assert_problem, caller_for, follower
from tests.integration.api.promised import contract

pytestmark = pytest.mark.usefixtures("clean")

SINCE, SUNSET = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
HEADERS = {"Deprecation", "Sunset", "Link"}
IN_FRONT_OF_IT = {"408", "413"}
"""Answers that are given before it is known what was called."""


class RowShape(Shape):
    name = serializers.CharField()


class Rows(View):
    """One of its two calls is deprecated."""

    scope = None
    permission_classes = [AllowAny]
    records = False

    @deprecated(SINCE, instead="GET /seats", sunset=SUNSET)
    @extend_schema(operation_id="rows", responses={200: RowShape})
    def get(self, request: Request) -> Response:
        """All rows. There are two."""
        if "X-Missing" in request.headers:
            raise StreamNotFound
        return Response({"name": "A"})

    @extend_schema(operation_id="rows_make", request=None, responses={200: RowShape})
    def post(self, request: Request) -> Response:
        """Makes a row."""
        return Response({"name": "B"})


class Row(View):
    """All of it is."""

    scope = None
    permission_classes = [IsAuthenticated]
    records = False
    deprecation = Deprecation(SINCE, instead="GET /seats/{id}")

    @extend_schema(operation_id="row", responses={200: RowShape})
    def get(self, request: Request) -> Response:
        """A row."""
        return Response({"name": "A"})

    @extend_schema(operation_id="row_change", request=None, responses={200: RowShape})
    def post(self, request: Request) -> Response:
        """Changes a row."""
        return Response({"name": "A"})


OWN = (path("api/v1/rows", Rows.as_view()), path("api/v1/row", Row.as_view()))


@pytest.fixture(autouse=True)
def with_rows(settings: Any) -> None:
    contract()  # of what there really is, against which all answers are held
    settings.ROOT_URLCONF = (*OWN, *get_resolver("config.urls").url_patterns)


def assert_deprecated(response: Any, *, sunset: str | None) -> None:
    assert response.headers["Deprecation"] == "@1893456000"
    assert response.headers.get("Sunset") == sunset
    assert response.headers["Link"] == '<http://testserver/api/v1/docs>; rel="deprecation"; type="text/html"'


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_each_answer_of_a_deprecated_call_says_so(method: str) -> None:
    answer = Caller().call(method, "/rows")
    assert answer.status_code == 200
    assert_deprecated(answer, sunset="Wed, 01 Jan 2031 00:00:00 GMT")


def test_so_does_each_refusal() -> None:
    for headers, status, code in (({"X-Missing": "1"}, 404, "not-found"), ({"Min-Position": "x"}, 400, "invalid")):
        refused = Caller(**headers).get("/rows")
        assert_problem(refused, status, code)
        assert_deprecated(refused, sunset="Wed, 01 Jan 2031 00:00:00 GMT")


def test_another_method_says_nothing() -> None:
    assert not HEADERS & set(Caller().post("/rows").headers)


def test_of_a_deprecated_view_each_call_says_so_whoever_calls() -> None:
    caller = caller_for(follower())
    for answer in (caller.get("/row"), caller.post("/row"), caller.post("/row", Idempotency_Key="k-1")):
        assert answer.status_code == 200
        assert_deprecated(answer, sunset=None)
    refused = Caller().get("/row")
    assert_problem(refused, 401, "not-authenticated")
    assert_deprecated(refused, sunset=None)


def test_the_contract_says_what_to_use_instead_and_which_headers_come() -> None:
    paths = SchemaGenerator(patterns=OWN).get_schema(request=None, public=True)["paths"]
    rows, row = paths[f"{V1}/rows"], paths[f"{V1}/row"]
    assert rows["get"]["deprecated"] is True
    assert rows["get"]["summary"] == "All rows"
    said = "Deprecated: use `GET /seats`. It will be gone on 2031-01-01."
    assert rows["get"]["description"] == f"All rows. There are two.\n\n{said}"
    told = {status for status, answer in rows["get"]["responses"].items() if answer["headers"].keys() >= HEADERS}
    assert told == rows["get"]["responses"].keys() - IN_FRONT_OF_IT
    assert "deprecated" not in rows["post"]
    assert not any(answer["headers"].keys() & HEADERS for answer in rows["post"]["responses"].values())
    for call in (row["get"], row["post"]):
        assert call["deprecated"] is True
        assert call["description"].endswith("Deprecated: use `GET /seats/{id}`.")
        assert all("Sunset" not in answer["headers"] for answer in call["responses"].values())
