"""More ask than a process of the site serves at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from tests.integration.api.caller import V1
from tests.integration.eventstore import raw
from tests.integration.http_client import Http
from tests.integration.processes import eventually

HELD = f"{V1}/conferences"
"""What waits for a lock."""
WAITING = "SELECT count(*) FROM pg_locks WHERE relation = 'ordering_conferencesummary'::regclass AND NOT granted"


@pytest.fixture(scope="module")
def site(sites):
    """One request at a time, and one that waits."""
    with sites(SITE_THREADS="1", SITE_QUEUE="1", SITE_LOCK_TIMEOUT_SECONDS="60") as address:
        yield address


@contextmanager
def crowd(site):
    """Two calls are being served and wait; yields how another two were answered, who came then."""
    with ThreadPoolExecutor(4) as threads, closing(raw.connect("owner")) as owner:
        owner.execute("LOCK TABLE ordering_conferencesummary")
        calls = [threads.submit(Http(site).call, "GET", HELD)]
        try:
            eventually(lambda: owner.execute(WAITING).fetchone() == (1,))
            calls += [threads.submit(Http(site).call, "GET", HELD) for _ in range(3)]
            eventually(lambda: sum(call.done() for call in calls) == 2)
            refused = [call for call in calls if call.done()]
            yield [call.result() for call in refused]
        finally:
            owner.rollback()
        assert [call.result().status for call in calls if call not in refused] == [200, 200]


def test_who_finds_the_queue_full_is_refused_at_once_and_who_waits_is_served(site):
    with crowd(site) as refused:
        page = Http(site).call("GET", "/admin/login/")
        form = Http(site).call("POST", "/admin/login/")
    for answer in refused:
        assert answer.status == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
        problem = json.loads(answer.content)
        assert problem["code"] == "unavailable"
        assert problem["correlation_id"] == answer.headers["X-Correlation-Id"]
    assert page.status == 503
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Retry-After"]
    assert form.status == 503
    assert "Nothing was done with what you sent." in form.content.decode()


def test_how_a_site_is_it_says_however_many_wait(site):
    with crowd(site):
        answers = {path: Http(site).call("GET", path).status for path in ("/healthz", "/readyz", "/metrics")}
    assert answers == {"/healthz": 200, "/readyz": 200, "/metrics": 200}
