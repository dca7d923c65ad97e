"""The contract says what is: each field as strict as the code, examples that would do, answers that are announced."""

import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import jsonschema_rs
import pytest
import yaml
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework import serializers
from rest_framework.request import Request

from ordering.api.changes import METHODS
from ordering.api.customers import ChangeShape
from ordering.api.deprecation import Deprecation
from ordering.api.examples import EXAMPLES
from ordering.api.serializers import ChosenId, Count, Shape, Text
from ordering.management.commands import contract as command
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.promised import contract

pytestmark = pytest.mark.usefixtures("clean")

INNER = ("a", "a b", "ä", "\t", "\n", "a\nb", "a\tb", "a\x00b", "a\x07b", "a\u2028b", "a\u202eb", "a\u2066b")
TEXTS = ("", " ", "\u2003", " a ", "\na\n", "\x1fa", "\u00a0a\u3000", *INNER)
IDS = [f"0197f3a2-6c1e-{version}d44-9b0a-3f5e1c2d4a61" for version in range(1, 9)]


def shapes(of=Shape):
    for each in of.__subclasses__():
        yield each
        yield from shapes(each)


def requests():
    """The shapes of all bodies that are sent, with what the contract says of them."""
    schemas = contract()["components"]["schemas"]  # loads all views, and so all shapes
    known = {each.__name__.removesuffix("Shape"): each for each in shapes()}
    for name, schema in schemas.items():
        if name.endswith("Request"):
            yield known[name.removesuffix("Request").removeprefix("Patched")], schema


def fields():
    return [(shape, name, schema["properties"][name]) for shape, schema in requests() for name in shape().fields]


def accepted(field, value):
    try:
        field.run_validation(value)
    except serializers.ValidationError:
        return False
    return True


def valid(schema, value):
    document = {**schema, "components": contract()["components"]}
    return jsonschema_rs.Draft202012Validator(document, validate_formats=True).is_valid(value)


def probes(field: Any) -> list[Any]:
    """Values that lie on both sides of each rule that a field can have."""
    others: list[Any] = [None, True, 1.5, 7, "x", [], {}]
    most: Any = getattr(field, "max_length", None) or 1
    match field:
        case serializers.ListSerializer() | serializers.ListField():
            one = {"seat_type": "a", "quantity": 1} if isinstance(field, serializers.ListSerializer) else "a"
            return [*others, [one], [one] * most, [one] * (most + 1)]
        case Count():
            least, most = field.min_value or 0, field.max_value or 0
            return [*others, least - 1, least, most, most + 1, "1"]
        case ChosenId():
            return [*others, *IDS]
        case serializers.RegexField():
            return [*others, "DE", "EUR", "de", "EURO", "D1"]
        case Text():
            longer = ["a" * most, "a" * (most + 1)] if field.max_length else []
            return [*others, *(TEXTS if field.trim_whitespace else ("", "a b", "a" * 9)), *longer]
        case serializers.ChoiceField():
            return [*others, *field.choices, ""]
        case serializers.UUIDField():
            return [*others, *IDS, "0197f3a2"]
        case serializers.DateField():
            return [*others, "1815-12-10", "1815-12-32", "18151210", "1815-12-10T00:00:00Z"]
        case _:
            return others


@pytest.mark.parametrize(
    ("shape", "name", "schema"), fields(), ids=lambda each: getattr(each, "__name__", str(each)[:20])
)
def test_a_field_is_as_strict_as_the_contract_says(shape, name, schema):
    field = shape().fields[name]
    if name == "provider":  # one of those installed here
        assert not accepted(field, "nobody")
        return
    told = {repr(value): valid(schema, value) for value in probes(field)}
    assert told == {repr(value): accepted(field, value) for value in probes(field)}
    assert (name in contract_of(shape).get("required", ())) == (field.required and shape is not ChangeShape)


def contract_of(shape):
    return next(schema for each, schema in requests() if each is shape)


def test_every_body_has_an_example_that_would_do():
    schemas = contract()["components"]["schemas"]
    known = {each.__name__.removesuffix("Shape"): each for each in shapes()}
    for name, example in EXAMPLES.items():
        assert schemas[name]["examples"] == [example]
        problems = jsonschema_rs.Draft202012Validator(
            {**schemas[name], "components": contract()["components"]}, validate_formats=True
        ).iter_errors(example)
        assert not [each.message for each in problems], name
        shape = known[name.removesuffix("Request").removeprefix("Patched")](data=example)
        assert shape.is_valid(), (name, shape.errors)
        if name.endswith("Request"):
            continue
        assert example.keys() == shape.fields.keys(), name
    for path, calls in contract()["paths"].items():
        for method, call in calls.items():
            for said in (call.get("requestBody", {}), *call["responses"].values()):
                for media in said.get("content", {}).values():
                    for each in media["schema"].get("oneOf", [media["schema"]]):
                        name = each["$ref"].rpartition("/")[2]
                        assert schemas[name].get("examples"), (method, path, name)


def test_every_call_says_in_a_line_what_it_does_and_belongs_to_a_tag():
    tags = {each["name"] for each in contract()["tags"]}
    for path, calls in contract()["paths"].items():
        for method, call in calls.items():
            assert method in METHODS
            assert 5 < len(call["summary"]) < 130, (method, path)
            assert set(call["tags"]) <= tags, (method, path)
            assert all(answer["description"] for answer in call["responses"].values())


def test_what_is_published_is_what_the_code_says():
    call_command("contract", stdout=StringIO())


def test_what_is_stale_is_shown_and_what_breaks_is_not_written(tmp_path, monkeypatch):
    published = tmp_path / "openapi.yaml"
    monkeypatch.setattr(command, "PUBLISHED", published)
    call_command("contract", "--write", stdout=StringIO())
    promised = yaml.safe_load(published.read_text())
    promised["components"]["schemas"]["Order"]["properties"]["colour"] = {"type": "string"}
    published.write_text(before := yaml.safe_dump(promised, sort_keys=False))
    with pytest.raises(CommandError, match="stale"):
        call_command("contract", stdout=(said := StringIO()))
    assert "BREAKING  GET /api/v1/orders/{order_id} 200: field colour is gone" in said.getvalue()
    assert "\n-        colour:" in said.getvalue()
    with pytest.raises(CommandError, match="breaks"):
        call_command("contract", "--write", stdout=StringIO())
    assert published.read_text() == before
    call_command("contract", "--write", "--breaking", stdout=StringIO())
    call_command("contract", stdout=StringIO())


def test_an_order_says_what_of_it_is_deprecated():
    customer, caller = callers.customer()
    placed = caller.post("/orders", callers.placing(customer, shop.conference_on_sale())).json()
    shown = caller.get(f"/orders/{placed['id']}")
    assert shown.headers["Deprecation"] == "@1795996800"
    assert shown.headers["Link"] == '<http://testserver/api/v1/docs>; rel="deprecation"; type="text/html"'
    assert "Sunset" not in shown.headers
    assert "Deprecation" not in caller.get(f"/orders/{placed['id']}/history").headers
    told = contract()["components"]["schemas"]["Order"]["properties"]["payment"]
    assert told["deprecated"]
    assert "payments" in told["description"]


def test_what_will_be_gone_says_when():
    gone = Deprecation(datetime(2030, 1, 1, tzinfo=UTC), instead="other", sunset=datetime(2031, 1, 1, tzinfo=UTC))
    response = HttpResponse(headers={"Link": '<http://testserver/next>; rel="next"'})
    gone.tell(Request(RequestFactory().get("/")), response)
    assert response.headers["Deprecation"] == "@1893456000"
    assert response.headers["Sunset"] == "Wed, 01 Jan 2031 00:00:00 GMT"
    assert response.headers["Link"].startswith('<http://testserver/next>; rel="next", <')


def test_playing_a_payment_minds_a_tag_that_nothing_has():
    customer, caller = callers.customer()
    placed = caller.post("/orders", callers.placing(customer, shop.conference_on_sale())).json()
    path = f"/sandbox/payments/{placed['payment']['id']}"
    with callers.nothing_written():
        answer = caller.post(path, {"outcome": "accepted"}, If_Match='"4-9b1f6a0c2d7e8f35"')
        callers.assert_problem(answer, 412, "version-conflict")
    assert caller.post(path, {"outcome": "accepted"}).status_code == 202


def test_the_contract_can_be_read_back():
    assert json.loads(json.dumps(contract())) == contract()
