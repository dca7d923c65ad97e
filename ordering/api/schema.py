"""How the contract is written as OpenAPI 3.1."""

from typing import Any
from uuid import UUID

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.permissions import SAFE_METHODS

from ordering.api import idempotency
from ordering.api.dry_run import WouldRecordShape, WriteQuery
from ordering.api.problems import MEDIA_TYPE
from ordering.api.views import View

PROBLEM = {
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
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
            },
        },
    },
}


KEY = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "pattern": f"^{idempotency.KEY.pattern}$"},
    OpenApiParameter.HEADER,
    description="Drawn by the client: with the same key this is done once, and answered as the first time.",
)


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "ordering.api.access.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> Any:
        return build_bearer_security_scheme_object(header_name="Authorization", token_prefix="Token")


READ = [
    OpenApiParameter(
        "Min-Position",
        {"type": "integer", "format": "int64", "minimum": 0},
        OpenApiParameter.HEADER,
        description="A position of the log, which what is read must have come to: waits for it, and answers 202 if "
        "that takes too long.",
    ),
    OpenApiParameter(
        "Log-Epoch",
        UUID,
        OpenApiParameter.HEADER,
        description="As a write answered it: 409 `log-restored` if positions mean others by now.",
    ),
]
WRITTEN = [
    OpenApiParameter(
        "Event-Position",
        {"type": "integer", "format": "int64"},
        OpenApiParameter.HEADER,
        response=True,
        description="The last position of what was recorded, and of what followed from it by now.",
    ),
    OpenApiParameter(
        "Log-Epoch",
        UUID,
        OpenApiParameter.HEADER,
        response=True,
        description="The name of the log that has this position.",
    ),
]


class Contract(AutoSchema):
    """Shapes are called what they are shapes of. What all reads or all writes take and answer is said here."""

    def get_override_parameters(self) -> list[Any]:
        own: list[Any] = super().get_override_parameters()
        if not isinstance(self.view, View):
            return own
        if self.method == "GET":
            return own + READ
        asked = [*([WriteQuery] if self._dry_run else []), *([KEY] if self.view.takes_key else [])]
        return own + asked + (WRITTEN if self.view.records else [])

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

    @property
    def _dry_run(self) -> type[WouldRecordShape] | None:
        """What it answers, if there is one."""
        if self.method in SAFE_METHODS or not isinstance(self.view, View):
            return None
        return self.view.would if issubclass(self.view.write_query, WriteQuery) else None


def _either(carried_out: dict[str, Any], foreseen: dict[str, Any]) -> dict[str, Any]:
    """The answer of a call, or that of its dry run."""
    contents = [answer["content"]["application/json"] for answer in (carried_out, foreseen)]
    schema = {"oneOf": [content["schema"] for content in contents]}
    return {**carried_out, "content": {"application/json": {"schema": schema}}}


def with_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Every operation may answer a problem, and no body has fields that nobody knows."""
    schemas = result["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
    schemas["Problem"] = PROBLEM
    for path in result["paths"].values():
        for operation in path.values():
            operation["responses"]["default"] = {
                "description": "What went wrong.",
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
    return result
