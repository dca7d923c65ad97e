"""Bytes that are hardly HTTP, or not at all, sent to a site that really runs.

To try more of them, and others:
FUZZ=100 FUZZ_SEED=7 pytest tests/integration/api/test_raw_bytes.py --timeout=0
"""

import os
import re
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from tests.integration.api.caller import nothing_written
from tests.integration.http_client import Http

FUZZ = int(os.environ.get("FUZZ", "3"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


def any_word(words):
    return st.sampled_from(words.split())


junk = st.binary(max_size=40)
text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).map(str.encode)

methods = any_word(b"GET POST PUT PATCH DELETE HEAD OPTIONS TRACE get BREW")
pages = any_word(
    b"/ /healthz /admin/login/ /profile/ /api/v1/conferences /api/v1/orders /api/v1/customers /api/v1/schema /api/v1/no"
)
escaped = any_word(b"%00 %ff%fe % %zz %c3%28 .. %2e%2e%2f / ? ?a=%ff ?cursor=%00 ?limit=-1 ?%ff")
raw = st.sampled_from([b"\0", b"\xff\xfe", b"\xc3\x28", b"#", b" ", b"\t"]) | junk
versions = st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/3.0", b"HTTP/1.", b"", b"FTP/1.1"])

names = any_word(
    b"Authorization Content-Type Accept Accept-Language Cookie If-Match Range X-Correlation-Id X-Forwarded-For Origin "
    b"X-Forwarded-Proto Idempotency-Key If-Modified-Since Expect Upgrade Connection TE Content-Encoding Referer"
)
fit = st.sampled_from([b"Token \xff", b"Token 0", b"Basic Og=="]) | any_word(
    b"multipart/form-data multipart/form-data;boundary=x application/x-www-form-urlencoded text/xml application/json "
    b'application/json;charset=utf-99 */*;q=x 100-continue websocket h2c gzip bytes=9-1 [::1 evil.example:99999 "1 "1" '
    b"csrftoken=\xff;; sessionid=%00 =?utf-8?q?x?= -1 99999999999999999999999999999999999999 \xc3\x85 xx-xx-xx-xx-xx-xx"
)
unfit = st.sampled_from([b"\0", b"a" * 70_000, b"\r\n folded", b"\n", b"\x7f"]) | junk
headers = st.tuples(names | st.just(b"Host") | junk, fit | unfit).map(b": ".join)
twice = headers.map(lambda header: header + b"\r\n" + header)

bodies = (
    junk | any_word(b'{} {"id":NaN} "\\ud800" {"name":"\\u0000"}') | st.sampled_from([b"[" * 30_000, b"a" * 70_000])
)
honest = bodies.map(lambda body: (b"Content-Length: %d" % len(body), body))
lengths = st.sampled_from([b"", b"2, 3", b"1\r\nContent-Length: 2"]) | any_word(
    b"0 1 7 -1 +3 1e3 0x5 \xb2 " + b"9" * 30
)
measured = st.tuples(lengths.map(lambda length: b"Content-Length: " + length), bodies)
sizes = st.sampled_from([b"", b"\0"]) | any_word(b"0 5 -1 zz ffffffffffffffffff 5;x=y")
chunked = st.lists(st.tuples(sizes, junk).map(b"\r\n".join), max_size=3).map(
    lambda chunks: (b"Transfer-Encoding: chunked", b"\r\n".join(chunks) + b"\r\n\r\n")
)
smuggled = st.tuples(measured, chunked).map(lambda both: (both[0][0] + b"\r\n" + both[1][0], both[1][1]))


@st.composite
def understood(draw):
    """A request that HTTP has nothing against; what it says may still be nonsense."""
    path = b"".join([draw(pages), *draw(st.lists(escaped, max_size=2))])
    said = draw(st.lists(st.tuples(names, fit | text).map(b": ".join), max_size=3))
    framing, body = draw(honest)
    line = b" ".join([draw(methods), path, b"HTTP/1.1"])
    return b"\r\n".join([line, b"Host: localhost", *said, framing, b"", body])


@st.composite
def misshapen(draw):
    """A request with a head and a body, of which perhaps nothing is right."""
    path = b"".join([draw(pages), *draw(st.lists(escaped | raw, max_size=2))])
    said = draw(st.lists(headers | twice, max_size=4))
    framing, body = draw(honest | measured | chunked | smuggled)
    line = b" ".join([draw(methods | junk), path, draw(versions)])
    return b"\r\n".join([line, b"Host: localhost", *said, framing, b"", body])


@st.composite
def streams(draw):
    """What goes through one connection: requests in a row, junk between them, and perhaps no end."""
    whole = b"".join(draw(st.lists(understood() | misshapen() | junk, min_size=1, max_size=3)))
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


def answer_to(content, site):
    """All that comes back until the site hangs up; it may do so before it was sent everything."""
    address, answer = urlsplit(site), b""
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        with suppress(OSError):
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while more := connection.recv(65_536):
                answer += more
    return answer


@pytest.fixture(scope="module")
def site(sites):
    with sites() as address:
        yield address


def test_whatever_bytes_come_nothing_breaks_nothing_is_written_and_the_next_is_served(site):
    @seed(SEED)
    @settings(
        max_examples=60 * FUZZ,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(streams())
    def send(content):
        note(f"Again with FUZZ={FUZZ} FUZZ_SEED={SEED}")
        answer = answer_to(content, site)
        note(f"Answer: {answer[:400]!r}")
        assert not [status for status in STATUS.findall(answer) if status >= b"500"]
        assert Http(site).call("GET", "/healthz").status == 200

    with nothing_written():
        send()
