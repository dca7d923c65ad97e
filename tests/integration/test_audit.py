"""Known vulnerabilities of what is installed: told and a failure, or told to be unknown."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests import audit

HOLE = {
    "id": "HOLE-1",
    "details": "It has a hole.",
    "affected": [
        {
            "package": {"name": "boat", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    """Knows of one vulnerability."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"vulns": [HOLE]} if asked["package"]["name"] == "boat" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def database():
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def ask(tmp_path):
    """Audit what is installed where these are."""

    def asking(installed: str, url: str) -> int:
        file = tmp_path / "installed.txt"
        file.write_text(installed)
        return audit.main("-s", "osv", "--osv-url", url, "--no-deps", "--disable-pip", "-r", str(file))

    return asking


@pytest.mark.parametrize(
    ("installed", "fails", "told"),
    [
        ("boat==1.0\nraft==2.0\n", 1, "boat 1.0: HOLE-1, mended in 1.1\nAudited 2 of the 2 packages"),
        ("raft==2.0\n", 0, "Audited 1 of the 1 packages that are installed.\n"),
    ],
)
def test_a_known_vulnerability_is_told_and_fails(ask, capsys, installed, fails, told):
    with database() as url:
        assert ask(installed, url) == fails
    assert capsys.readouterr().out.startswith(told)


def test_without_a_database_it_is_said_that_nothing_was_audited(ask, capsys):
    with database() as url:
        pass
    assert ask("boat==1.0\n", url) == 0
    assert capsys.readouterr().out.startswith("Nothing was audited, no database of vulnerabilities could be asked:")


def test_what_the_database_does_not_know_is_named():
    found: list[dict[str, Any]] = [
        {"name": "raft", "version": "2.0", "vulns": []},
        {"name": "boat", "skip_reason": "not found"},
    ]
    assert audit.told(found) == [
        "Audited 1 of the 2 packages that are installed.",
        "The database knows nothing of boat.",
    ]
