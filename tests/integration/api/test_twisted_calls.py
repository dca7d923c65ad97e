"""Thousands of calls that are wrong in some way, and some that aren't, by everybody at once, to a site that runs.

To try more of them, and others:
FUZZ_CALLS=20000 FUZZ_SEED=7 pytest tests/integration/api/test_twisted_calls.py --timeout=0
"""

import http.client
import json
import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest

from eventstore.models import StoredEvent
from tests.integration.api.promised import contract
from tests.integration.api.test_made_up_calls import UNBRAKED, called_by

CALLS = int(os.environ.get("FUZZ_CALLS", "2500"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
ROLES = ("anonymous", "customer", "storefront", "staff", "follower")
PROBLEM = "application/problem+json"
ODD: list[object] = [
    None,
    True,
    0,
    -1,
    2**63,
    1e300,
    "",
    " ",
    "\x00",
    "\ud7ff\u202e",
    "a" * 5000,
    [],
    [[]],
    {},
    {"": ""},
    "2030-01-01",
]
HEADERS = {
    "Min-Position": ["0", "-1", "9" * 30, "x", "1.0"],
    "Log-Epoch": [str(uuid4()), "x", ""],
    "If-Match": ["*", '"1-0"', "W/", '"', ","],
    "If-None-Match": ["*", '"1-0"', "\xff"],
    "Idempotency-Key": ["a", "a" * 256, "\xe9", ""],
    "Content-Type": ["text/plain", "application/xml", "application/json; charset=utf-16", "x", "multipart/form-data"],
    "Accept": ["text/html", "application/xml", "*/*", "x/"],
    "Authorization": ["Token", "Token x", "Token \xff", "Basic eDp4", "Bearer " + "a" * 500],
    "X-Correlation-Id": ["x", ""],
    "Last-Event-ID": ["1", "-1", "\xb2"],
    "X-Signature": ["00", "\xff"],
}

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def site(sites):
    with sites(**UNBRAKED) as address:
        yield address


def twisted(chance, value):
    """The same with something in it that is odd."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(list(value))
        match chance.randrange(4):
            case 0:
                return {other: each for other, each in value.items() if other != name}
            case 1:
                return {**value, chance.choice(["", "unknown", "__proto__"]): chance.choice(ODD)}
            case _:
                return {**value, name: twisted(chance, value[name])}
    if isinstance(value, list) and value and chance.random() < 0.7:
        return [twisted(chance, each) for each in value] * chance.choice([1, 1, 60])
    return chance.choice(ODD)


def body_of(chance, example):
    """Bytes: well-formed, or cut off, or of something else than JSON."""
    content = json.dumps(twisted(chance, example) if chance.random() < 0.6 else example).encode()
    match chance.randrange(20):
        case 0:
            return content[: chance.randrange(len(content) + 1)]
        case 1:
            return content + chance.randbytes(chance.randrange(1, 40))
        case 2:
            return chance.randbytes(chance.randrange(200))
        case 3:
            return b"[" * chance.randrange(1, 9000)
    return content


def made_up(chance, operations, known):
    """A method, a path with its query, headers and a body."""
    path, method, call, example = chance.choice(operations)
    for name in [part.strip("{}") for part in path.split("/") if part.startswith("{")]:
        odd = [uuid4(), "x", "..", "%00", "%ff", "a" * 300, quote("ä\x00/")]
        value = chance.choice(known.get(name, ["crm"])) if chance.random() < 0.7 else chance.choice(odd)
        path = path.replace(f"{{{name}}}", str(value))
    names = [each["name"] for each in call.get("parameters", ()) if each["in"] == "query" and each["name"] != "wait"]
    asked = [chance.choice([*names, "unknown"]) for _ in range(chance.choice([0, 0, 1, 2]))] if names else []
    values = ["", "1", "-1", "true", "%00", "%ff%fe", "9" * 40, "x" * 3000, "2030-01-01T00:00:00Z", "placed"]
    query = "&".join(f"{name}={chance.choice(values)}" for name in asked)
    headers = {name: chance.choice(HEADERS[name]) for name in chance.sample(list(HEADERS), chance.choice([0, 0, 1, 2]))}
    method = method.upper() if chance.random() < 0.95 else chance.choice(["PUT", "TRACE", "OPTIONS", "HEAD", "PATCH"])
    if example is not None:
        example = {name: chance.choice(known[name]) if name in known else value for name, value in example.items()}
    body = body_of(chance, example) if example is not None or chance.random() < 0.1 else b""
    return method, f"{path}?{query}" if query else path, headers, body


def examples():
    """Each operation of the contract, but those that end the caller's token, with the example of its body."""
    schemas = contract()["components"]["schemas"]
    for path, calls in contract()["paths"].items():
        for method, call in calls.items():
            if call["operationId"] != "auth_token_destroy":
                content = call.get("requestBody", {}).get("content", {}).values()
                names = [each["schema"]["$ref"].rpartition("/")[2] for each in content]
                yield path, method, call, schemas[names[0]]["examples"][0] if names else None


def played(site, role, caller, operations):
    """So many calls of one client. Answers how often each status came, and the correlation ids of what was refused."""
    chance, (own, known) = random.Random(f"{SEED} {role}"), caller
    statuses, refused = Counter[int](), []
    connection = http.client.HTTPConnection(urlsplit(site).netloc, timeout=30)
    for _ in range(CALLS // len(ROLES)):
        method, path, headers, body = made_up(chance, operations, known)
        sent = {"Content-Type": "application/json", "X-Correlation-Id": str(uuid4()), **own, **headers}
        connection.request(method, path, body, {name: value.encode("latin-1") for name, value in sent.items()})
        response = connection.getresponse()
        content, where = response.read(), (role, method, path[:200], headers, body[:300], response.status)
        assert response.status < 500 or response.status == 503, (*where, content[:500])
        assert b"Traceback" not in content, where
        assert b"<html" not in content.lower(), where
        if response.status >= 400:
            assert response.getheader("Content-Type") == PROBLEM, (*where, content[:200])
            refused.append(response.getheader("X-Correlation-Id"))
        statuses[response.status] += 1
    connection.close()
    return statuses, refused


def test_whatever_comes_is_answered_and_what_is_refused_leaves_no_trace_in_the_log(site):
    callers, operations = {role: called_by(role) for role in ROLES}, list(examples())
    with ThreadPoolExecutor(len(ROLES)) as threads:
        answers = list(threads.map(lambda role: played(site, role, callers[role], operations), ROLES))
    statuses = sum((each for each, _ in answers), Counter[int]())
    assert statuses.total() == CALLS // len(ROLES) * len(ROLES)
    assert {200, 201, 400, 401, 404, 409} <= statuses.keys(), statuses
    refused = [each for _, ids in answers for each in ids]
    assert len(set(refused)) == len(refused)
    assert not StoredEvent.objects.filter(correlation_id__in=refused).exists()
