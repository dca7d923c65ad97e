"""Calls that are carried out once, however often they are sent, because their client gave them a key.

After the header `Idempotency-Key` of an IETF draft, as Stripe has it.
"""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

import msgspec
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore import advisory_locks, context, middleware
from eventstore.aggregates import Command
from ordering import conf
from ordering.models import KeyedCall

HEADER = "Idempotency-Key"
KEY = re.compile("[!-~]{1,255}")
TOLD = ("ETag", "Event-Position", "Location", "Log-Epoch", "Retry-After")
"""The headers that belong to an answer; the others belong to the call."""


class KeyReused(APIException):
    status_code = 422
    default_code = "idempotency-key-reused"
    default_detail = "This key came with another body before."


class InProgress(APIException):
    """The first call is still being carried out."""

    status_code = 409
    default_code = "idempotency-in-progress"
    default_detail = "The call that had this key first is not answered yet."
    wait = 1


class Answer(msgspec.Struct, frozen=True):
    """What is kept of an answer."""

    status: int
    headers: dict[str, str]
    content_type: str | None
    content: str

    @classmethod
    def of(cls, response: Response) -> "Answer":
        headers = {name: response.headers[name] for name in TOLD if name in response.headers}
        # Events and lines of the log have that of the first call, and so has the body of a problem.
        headers[middleware.HEADER] = str(context.current().correlation_id)
        content = JSONRenderer().render(response.data).decode()
        return cls(response.status_code, headers, response.content_type, content)

    def again(self) -> Response:
        headers = {**self.headers, "Idempotent-Replayed": "true"}
        body = json.loads(self.content) if self.content else None
        return Response(body, self.status, headers=headers, content_type=self.content_type)


class Once:
    """A call with its key, which is known by who calls, what is called, and the key.

    One that a crash cut off is carried out again, with the ids that it had: so what it recorded is found. Its answer
    tells how things are by then.
    """

    def __init__(self, request: Request, actor: str) -> None:
        """Raises `ValidationError` where the key is none, and what the parsers do."""
        key = named(request)
        self._key, self._body = key, _text(request.data)
        self._digest = sha256(_text([actor, request.method, request.path, key]).encode()).hexdigest()
        self._call = KeyedCall()

    @property
    def id(self) -> UUID:
        """The id of what the call creates, if its client has chosen none."""
        return self._call.id

    def command_id(self, command: Command) -> UUID:
        return uuid5(self.id, f"{command.stored} {command.stream_id}")

    def answered(self, carry_out: Callable[[], Response]) -> Response:
        """What is answered, by the first call or by this one. Raises `KeyReused`, `InProgress`."""
        with advisory_locks.slot(advisory_locks.KEYED_CALL, [self._digest]) as ours:
            if not ours:
                raise InProgress
            now, *before = (self._keyed("body", secret, self._body).hex() for secret in _secrets())
            KeyedCall.objects.bulk_create([KeyedCall(digest=self._digest, body_digest=now)], ignore_conflicts=True)
            self._call = KeyedCall.objects.get(digest=self._digest)
            if self._call.body_digest not in (now, *before):
                raise KeyReused
            return self._known() or self._kept(carry_out())

    def _known(self) -> Response | None:
        if self._call.answer is None:
            return None
        return msgspec.json.decode(self._cipher.decrypt(bytes(self._call.answer)), type=Answer).again()

    def _kept(self, response: Response) -> Response:
        """Whatever was done, or refused by a rule, is kept. What was not understood or not allowed is as if it had not
        come; of what failed on our side nobody knows how far it got.
        """
        call = KeyedCall.objects.filter(pk=self.id, answer=None)
        if response.status_code < 300 or response.status_code == 409:
            call.update(answer=self._cipher.encrypt(msgspec.json.encode(Answer.of(response))))
        elif response.status_code < 500:
            call.delete()
        return response

    @cached_property
    def _cipher(self) -> MultiFernet:
        return MultiFernet([Fernet(urlsafe_b64encode(self._keyed("answer", secret))) for secret in _secrets()])

    def _keyed(self, purpose: str, secret: str | bytes, value: str = "") -> bytes:
        """32 bytes that nobody makes who knows just the secret, or just the key: a body may hold a password."""
        return salted_hmac(
            f"ordering.api.idempotency {purpose} {self._key}", value, secret=secret, algorithm="sha256"
        ).digest()


def named(request: Request) -> str:
    """The key of a call that has one. Raises `ValidationError` where it is none."""
    key = request.headers[HEADER]
    if not KEY.fullmatch(key):
        raise ValidationError([ErrorDetail(f"{HEADER} has to be 1 to 255 visible characters of ASCII.", "invalid")])
    return key


def forget() -> int:
    """Forget the calls that have been known for as long as they must be; answers how many they were."""
    number, _ = KeyedCall.objects.filter(begun_at__lt=Now() - conf.keyed_calls_kept()).delete()
    return number


def _secrets() -> Sequence[str | bytes]:
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


def _text(content: Any) -> str:
    return json.dumps(content, sort_keys=True)
