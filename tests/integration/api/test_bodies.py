"""Bodies that are too large, too slow, or broken off, as the real server takes them."""

import http.client
import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from tests.integration.api.caller import V1, nothing_written
from tests.integration.http_client import Http

MEGABYTE = 1024 * 1024
HEAD = f"POST {V1}/customers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def site(sites):
    with sites() as address:
        yield address


def urllib_client(address, body, file):
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 - ours
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(request, timeout=30)  # noqa: S310 - the same
    return answer.value.code, answer.value.read()


def plain_client(address, body, file):
    where = urlsplit(address)
    with closing(http.client.HTTPConnection(where.netloc, timeout=30)) as connection:
        connection.request("POST", where.path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()


def chunking_client(address, body, file):
    where = urlsplit(address)
    with closing(http.client.HTTPConnection(where.netloc, timeout=30)) as connection:
        pieces = (body[begin : begin + 65536] for begin in range(0, len(body), 65536))
        connection.request("POST", where.path, pieces, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()


def curl(*options):
    def client(address, body, file):
        program = shutil.which("curl")
        assert program, "The tests need curl."
        file.write_bytes(body)
        json_type = ("-H", "Content-Type: application/json")
        arguments = (program, "-sS", "-w", "%{stderr}%{http_code}", *json_type, *options, "--data-binary", f"@{file}")
        done = subprocess.run([*arguments, address], capture_output=True, timeout=30, check=True)
        return int(done.stderr), done.stdout

    return client


CLIENTS = {
    "urllib": urllib_client,
    "http.client": plain_client,
    "http.client, chunks": chunking_client,
    "curl": curl("-H", "Expect:"),
    "curl, Expect": curl("-H", "Expect: 100-continue"),
}


@pytest.mark.parametrize("size", [70_000, MEGABYTE, 5 * MEGABYTE, 50 * MEGABYTE])
@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_whoever_sends_too_much_is_told_so(site, client, size, tmp_path):
    with nothing_written():
        status, content = client(f"{site}{V1}/customers", b"x" * size, tmp_path / "body")
    assert status == 413
    assert json.loads(content)["code"] == "too-large"


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/nowhere", "/profile/nothing", f"{V1}/conferences", "/admin/login/"]
)
def test_no_path_takes_a_body_of_any_size(site, path):
    assert Http(site).call("POST", path, b"x" * 34 * MEGABYTE).status == 413


def test_a_file_that_the_admin_may_take_passes(site):
    assert Http(site).call("POST", "/admin/login/", b"x" * 32 * MEGABYTE).status == 403  # it has no CSRF token


def exchange(site, *parts):
    """What is answered to these bytes, until the server closes the connection."""
    address = urlsplit(site)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part.encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize(
    "body",
    ["ZZ\r\nabc\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFFF\r\nabc", "3\r\nabcdef\r\n0\r\n\r\n"],
    ids=["no length", "a length beyond all", "another length"],
)
def test_broken_chunks_are_malformed(site, body):
    with nothing_written():
        answer = exchange(site, HEAD, "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n", body)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer


def test_a_body_in_crumbs_is_refused(site):
    with nothing_written():
        answer = exchange(site, HEAD, "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n" * 10_000)
    assert answer.startswith(b"HTTP/1.1 400")


def test_half_a_body_does_nothing(site):
    address = urlsplit(site)
    with nothing_written():
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            connection.sendall(f"{HEAD}Content-Length: 100\r\n\r\n{{".encode())
        assert Http(site).call("GET", "/readyz").status == 200


@pytest.mark.long
def test_many_slow_bodies_keep_nobody_waiting_and_are_given_up(site):
    address = urlsplit(site)
    with ExitStack() as slow:
        for _ in range(1200):
            connection = slow.enter_context(socket.create_connection((address.hostname, address.port), timeout=30))
            connection.sendall(f"{HEAD}Content-Length: 100\r\n\r\n{{".encode())
        assert Http(site).call("GET", "/readyz").status == 200
        assert Http(site).call("GET", f"{V1}/conferences").status == 200
        assert connection.recv(65_536).startswith(b"HTTP/1.1 408")
