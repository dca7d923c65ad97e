"""The limit in front of Django, message by message."""

import asyncio

import pytest

from ordering.api.body_limit import LARGEST, BodyLimit


def passed_on(*messages):
    """The body that the application gets of these messages; None if it is not called."""
    got = []

    async def application(scope, receive, send):
        got.append((await receive())["body"])

    async def receive():
        return waiting.pop(0)

    async def send(message):
        pass

    waiting = list(messages)
    asyncio.run(BodyLimit(application)({"type": "http", "path": "/api/v1/orders", "headers": []}, receive, send))
    return got[0] if got else None


def part(body, *, more):
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_parts_is_passed_on_whole():
    assert passed_on(part(b"a", more=True), part(b"", more=True), part(b"b", more=False)) == b"ab"


@pytest.mark.parametrize(("length", "passes"), [(LARGEST, True), (LARGEST + 1, False)])
def test_the_limit_itself_is_not_too_large(length, passes):
    assert (passed_on(part(b"x" * length, more=False)) is not None) == passes


def test_half_a_body_is_not_passed_on():
    assert passed_on(part(b"1", more=True), {"type": "http.disconnect"}) is None
