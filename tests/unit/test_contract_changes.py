"""Which changes of the contract its clients can break on."""

from copy import deepcopy

import pytest

from ordering.api.changes import changes

BOUND = {"type": "string", "maxLength": 20, "minLength": 1}
CONTRACT = {
    "paths": {
        "/seats": {
            "post": {
                "operationId": "take",
                "parameters": [{"name": "Key", "in": "header", "schema": {"type": "string"}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Asked"}}}},
                "responses": {
                    "200": {
                        "headers": {"ETag": {}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Told"}}},
                    },
                    "409": {},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Asked": {
                "type": "object",
                "properties": {"name": BOUND, "row": {"type": "integer"}},
                "required": ["name"],
            },
            "Told": {
                "type": "object",
                "properties": {
                    "status": {"type": "string", "enum": ["free", "taken"]},
                    "by": {"oneOf": [{"type": "string"}, {"type": "null"}]},
                    "seats": {"type": "array", "items": {"$ref": "#/components/schemas/Seat"}},
                },
                "required": ["status", "by"],
            },
            "Seat": {"type": "object", "properties": {"row": {"type": "integer", "minimum": 1}}, "required": ["row"]},
        }
    },
}


def take(contract):
    return contract["paths"]["/seats"]["post"]


def shape(contract, name):
    return contract["components"]["schemas"][name]


BREAKING = {
    "a path is gone": lambda each: each["paths"].clear(),
    "a call has another name": lambda each: take(each).update(operationId="get"),
    "a status is gone": lambda each: take(each)["responses"].pop("409"),
    "a success is new": lambda each: take(each)["responses"].update({"202": {}}),
    "a header is gone": lambda each: take(each)["responses"]["200"]["headers"].clear(),
    "a parameter is gone": lambda each: take(each)["parameters"].clear(),
    "a parameter is required": lambda each: take(each)["parameters"][0].update(required=True),
    "a required parameter is new": lambda each: take(each)["parameters"].append(
        {"name": "day", "in": "query", "required": True, "schema": {}}
    ),
    "a body is required": lambda each: take(each)["requestBody"].update(required=True),
    "a field that is told is gone": lambda each: shape(each, "Told")["properties"].pop("by"),
    "a field that is told may be missing": lambda each: shape(each, "Told").update(required=["status"]),
    "a field further down is gone": lambda each: shape(each, "Seat")["properties"].clear(),
    "a field that is asked is gone": lambda each: shape(each, "Asked")["properties"].pop("row"),
    "a field is asked": lambda each: shape(each, "Asked").update(required=["name", "row"]),
    "a new field is asked": lambda each: shape(each, "Asked").update(
        properties={**shape(each, "Asked")["properties"], "day": {"type": "string"}}, required=["name", "day"]
    ),
    "a value is gone": lambda each: shape(each, "Told")["properties"]["status"]["enum"].remove("taken"),
    "the values are open": lambda each: shape(each, "Told")["properties"]["status"].pop("enum"),
    "an upper bound is lower": lambda each: shape(each, "Asked")["properties"]["name"].update(maxLength=10),
    "a lower bound is higher": lambda each: shape(each, "Asked")["properties"]["name"].update(minLength=2),
    "a bound is new": lambda each: shape(each, "Asked")["properties"]["row"].update(maximum=9),
    "a pattern is new": lambda each: shape(each, "Asked")["properties"]["name"].update(pattern="^a"),
    "what is told goes beyond its bound": lambda each: shape(each, "Seat")["properties"]["row"].update(minimum=0),
    "what is told may be null": lambda each: shape(each, "Seat")["properties"]["row"].update(type=["integer", "null"]),
    "what is asked has another type": lambda each: shape(each, "Asked")["properties"]["row"].update(type="string"),
}
HARMLESS = {
    "a path is new": lambda each: each["paths"].update({"/rows": {"get": {"operationId": "rows", "responses": {}}}}),
    "a refusal is new": lambda each: take(each)["responses"].update({"422": {}}),
    "a header is new": lambda each: take(each)["responses"]["200"]["headers"].update({"Link": {}}),
    "a field is told": lambda each: shape(each, "Told")["properties"].update(day={"type": "string"}),
    "a field may be sent": lambda each: shape(each, "Asked")["properties"].update(day={"type": "string"}),
    "a field need not be sent": lambda each: shape(each, "Asked").update(required=[]),
    "a call is deprecated": lambda each: take(each).update(deprecated=True),
    "a field is deprecated": lambda each: shape(each, "Told")["properties"]["by"].update(deprecated=True),
    "a value is new": lambda each: shape(each, "Told")["properties"]["status"]["enum"].append("held"),
    "an upper bound is higher": lambda each: shape(each, "Asked")["properties"]["name"].update(maxLength=30),
    "a bound is gone": lambda each: shape(each, "Asked")["properties"]["name"].pop("minLength"),
    "what is told is never null": lambda each: shape(each, "Told")["properties"].update(by={"type": "string"}),
}


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in BREAKING.items()])
def test_it_breaks(change):
    change(new := deepcopy(CONTRACT))
    assert [each for each in changes(CONTRACT, new) if each.breaking]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in HARMLESS.items()])
def test_it_breaks_nobody(change):
    change(new := deepcopy(CONTRACT))
    found = changes(CONTRACT, new)
    assert found
    assert not [each for each in found if each.breaking]


def test_what_is_deprecated_is_told_and_so_is_what_is_no_longer():
    change = HARMLESS["a call is deprecated"]
    change(new := deepcopy(CONTRACT))
    assert [str(each) for each in changes(CONTRACT, new)] == ["addition  POST /seats: deprecated"]
    assert [str(each) for each in changes(new, CONTRACT)] == ["addition  POST /seats: no longer deprecated"]


def test_what_was_deprecated_is_missed_all_the_same():
    HARMLESS["a call is deprecated"](old := deepcopy(CONTRACT))
    BREAKING["a path is gone"](new := deepcopy(CONTRACT))
    assert [each.breaking for each in changes(old, new)] == [True]


def test_words_are_no_change():
    new = deepcopy(CONTRACT)
    take(new)["description"] = shape(new, "Told")["description"] = "Said otherwise."
    assert changes(CONTRACT, new) == []
