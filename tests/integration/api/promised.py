"""Whether an answer is one that the contract names: its status, its headers, its body, and the codes of problems."""

import json
import re
from functools import cache
from typing import Any

import jsonschema_rs
from drf_spectacular.generators import SchemaGenerator

from ordering.api.headers import TOLD


@cache
def contract() -> Any:
    return json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str))


@cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), path) for path in contract()["paths"]]


@cache
def _validator(pointer: str) -> Any:
    components = contract()["components"]
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/contract/{pointer}", "components": components, "contract": contract()}, validate_formats=True
    )


def assert_promised(method: str, path: str, response: Any) -> None:
    """Nothing is said of calls that the contract has not: of other paths, or of methods that are not there."""
    template = next((each for pattern, each in _paths() if pattern.fullmatch(path.partition("?")[0])), None)
    calls = contract()["paths"].get(template, {}) if template else {}
    call = calls.get("get" if method == "HEAD" else method.lower())
    if template is None or call is None:
        return
    said, where = str(response.status_code), f"{method} {template} {response.status_code}"
    assert said in call["responses"], f"{where}: {getattr(response, 'content', b'')[:500]!r}"
    answer = call["responses"][said]
    told = {name for name in TOLD if name in response.headers}
    assert told <= answer["headers"].keys(), f"{where}: {told - answer['headers'].keys()}"
    if response.streaming or method == "HEAD" or not response.content:
        return
    media_type = response.headers["Content-Type"].partition(";")[0]
    assert media_type in answer["content"], f"{where}: {media_type}"
    steps = ("paths", template, method.lower(), "responses", said, "content", media_type, "schema")
    pointer = "/".join(
        step.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D") for step in steps
    )
    errors = [f"{error.instance_path}: {error.message}" for error in _validator(pointer).iter_errors(response.json())]
    assert not errors, f"{where}: {errors}"
