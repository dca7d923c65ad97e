"""How the contract is written as OpenAPI 3.1: what all calls take and answer is said here, from their views."""

import re
from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from drf_spectacular.utils import OpenApiResponse
from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import ListSerializer

from ordering.api import headers, refusals
from ordering.api.deprecation import Deprecation
from ordering.api.dry_run import WouldRecordShape, WriteQuery
from ordering.api.examples import EXAMPLES
from ordering.api.links import LINKS
from ordering.api.problems import MEDIA_TYPE
from ordering.api.views import View

SCHEMAS, HEADERS = "#/components/schemas/", "#/components/headers/"
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `errors` says what is wrong where, when the code is `invalid`.",
    "required": ["type", "title", "status", "code", "detail", "correlation_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "correlation_id": {"type": "string", "format": "uuid"},
        "errors": {"type": "array", "items": {"$ref": f"{SCHEMAS}ProblemError"}},
    },
}
PROBLEM_ERROR: dict[str, Any] = {
    "type": "object",
    "description": "What is wrong with one value, which a JSON pointer (RFC 6901) names.",
    "required": ["pointer", "code", "detail"],
    "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
}
DONE = {
    200: "As it stands.",
    201: "It is there now.",
    202: "It is accepted, or can't be read yet.",
    204: "It is gone.",
    304: "It is still what the named tag says.",
}


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "ordering.api.access.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> Any:
        scheme = build_bearer_security_scheme_object(header_name="Authorization", token_prefix="Token")
        return {**scheme, "description": "`Token`, a space, and what `POST /auth/token` answered."}


class Contract(AutoSchema):
    """Shapes are called what they are shapes of. What all reads or all writes take and answer is said here."""

    def get_override_parameters(self) -> list[Any]:
        own: list[Any] = super().get_override_parameters()
        if not isinstance(self.view, View):
            return own
        return [*own, *([WriteQuery] if self._dry_run else []), *headers.asked(self.view, self.method)]

    def get_summary(self) -> str | None:
        """The first sentence of what is said of it."""
        told = self.get_description() or ""
        return re.split(r"(?<=[^.])[.:;](?:\s|$)", told, maxsplit=1)[0] or None

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular has it
        told: str = super().get_description()
        return "\n\n".join(filter(None, [told, self._deprecation and str(self._deprecation)]))

    def is_deprecated(self) -> bool:
        return self._deprecation is not None

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None or not isinstance(self.view, View):
            return operation
        answers = operation["responses"]
        if self.method in SAFE_METHODS and self.view.tagged:
            answers["304"] = {}
        for status, links in LINKS.get(operation["operationId"], {}).items():
            answers[status]["links"] = links
        for status, answer in answers.items():
            answer["description"] = answer.get("description") or DONE[int(status)]
            if status == "204":
                answer["description"] = DONE[204]
            answer["headers"] = _headers(self.view, self.method, int(status))
        refused = refusals.of(self.view, self.method, about_one="{" in self.path)
        for code, codes in refused.items():
            told = _headers(self.view, self.method, code)
            answers[str(code)] = _refused(operation["operationId"], code, codes, told)
        operation["responses"] = dict(sorted(answers.items()))
        return operation

    def _get_serializer_name(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> str:
        name: str = super()._get_serializer_name(serializer, direction, bypass_extensions)
        return name.replace("Shape", "")

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if self._dry_run:
            foreseen = OpenApiResponse(self._dry_run, "What would be recorded, in a dry run.")
            answer = self._get_response_for_code(foreseen, "200", direction=direction)
            bodies["200"] = _either(bodies["200"], answer) if "200" in bodies else answer
        return bodies

    def _map_serializer(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        schema = super()._map_serializer(serializer, direction, bypass_extensions)
        if not type(serializer).__dict__.get("__doc__"):
            schema.pop("description", None)  # that of a class it is derived from
        for name, field in getattr(serializer, "fields", {}).items():
            if direction == "request" and getattr(field, "allow_blank", False):
                schema["properties"][name] |= getattr(field, "contract", {})
        for name, deprecation in getattr(serializer, "deprecated", {}).items():
            told = schema["properties"][name]
            schema["properties"][name] = {**told, "deprecated": True, "description": str(deprecation)}
        return schema

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        schema = super()._map_serializer_field(field, direction, bypass_extensions)
        if direction != "request" or not schema:
            return schema
        if isinstance(field, ListSerializer):
            most = getattr(field, "max_length", None)
            bounds = {"minItems": None if field.allow_empty else 1, "maxItems": most}
            return {**schema, **{name: bound for name, bound in bounds.items() if bound is not None}}
        # What may be blank is told so in a way that a pattern would contradict; see `_map_serializer`.
        return schema if getattr(field, "allow_blank", False) else {**schema, **getattr(field, "contract", {})}

    @property
    def _deprecation(self) -> Deprecation | None:
        return self.view.deprecation_of(self.method) if isinstance(self.view, View) else None

    @property
    def _dry_run(self) -> type[WouldRecordShape] | None:
        """What it answers, if there is one."""
        if self.method in SAFE_METHODS or not isinstance(self.view, View):
            return None
        return self.view.would if issubclass(self.view.write_query, WriteQuery) else None


def _headers(view: View, method: str, status: int) -> dict[str, Any]:
    return {name: {"$ref": f"{HEADERS}{name}"} for name in headers.told(view, method, status)}


def _refused(operation: str, status: int, codes: list[str], told: dict[str, Any]) -> dict[str, Any]:
    """A problem with one of these codes. Where all calls of a kind have the same they share its shape."""
    own = (status == 409 and codes != ["log-restored"]) or len(codes) > 3
    name = "".join(each.title() for each in re.split("[-_]", f"{operation}-{status}" if own else "-".join(codes)))
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}.",
        "headers": told,
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}{name}Problem"}}},
        "x-codes": codes,
    }


def _either(carried_out: dict[str, Any], foreseen: dict[str, Any]) -> dict[str, Any]:
    """The answer of a call, or that of its dry run."""
    contents = [answer["content"]["application/json"] for answer in (carried_out, foreseen)]
    schema = {"oneOf": [content["schema"] for content in contents]}
    return {**carried_out, "content": {"application/json": {"schema": schema}}}


def completed(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """What calls share stands once, and no body has fields that nobody knows."""
    components = result["components"]
    schemas = components["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
        if name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name]]
    schemas |= {"Problem": PROBLEM, "ProblemError": PROBLEM_ERROR}
    for path in result["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if codes := answer.pop("x-codes", None):
                    _, _, name = answer["content"][MEDIA_TYPE]["schema"]["$ref"].rpartition("/")
                    schemas[name] = _problem(int(status), codes)
    components["headers"] = headers.TOLD
    for kind, named in components.items():
        components[kind] = dict(sorted(named.items()))
    return result


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    told = {"status": {"type": "integer", "const": status}, "code": {"type": "string", "enum": codes}}
    example = {
        "type": f"urn:boxoffice:problem:{codes[0]}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": codes[0],
        "detail": "What this means in words, which may change.",
        "correlation_id": "01a207f3-684c-75dd-9ba2-c7e5b987d5af",
    }
    return {**PROBLEM, "properties": {**PROBLEM["properties"], **told}, "examples": [example]}
