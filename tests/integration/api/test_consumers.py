"""Consumers of the feed in other systems say where they are, and are watched as subscribers are."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection

from eventstore import identity, store
from eventstore.context import new_id
from eventstore.models import Consumer, Incident, LogIdentity
from eventstore.monitoring import incidents
from eventstore.monitoring.consumers import ADVICE, consumer_issues, consumer_statuses
from ordering.api import metrics
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem, nothing_written

pytestmark = pytest.mark.usefixtures("clean")

PATH = "/consumers/warehouse"
EVENTS = 3


def follower_caller():
    user = User.objects.create(username=f"follower-{new_id().hex}")
    user.user_permissions.add(Permission.objects.get(codename="view_storedevent"))
    return callers.caller_for(user)


@pytest.fixture
def follower():
    return follower_caller()


@pytest.fixture
def log():
    """The position of its last event."""
    for _ in range(EVENTS):
        shop.customer()
    return store.head()


def put(caller, body, path=PATH):
    return caller.call("PUT", path, body)


def reported(caller, position, path=PATH, **more):
    answer = put(caller, {"position": position, **more}, path)
    assert answer.status_code == 200, answer.content
    return answer.json()


def issues():
    return [(each.about, each.kind, each.text) for each in consumer_issues()]


def kinds():
    return [kind for _, kind, _ in issues()]


def age(seconds, *columns):
    """Let it be so many seconds ago that these were noted."""
    later = ", ".join(f"{each} = {each} - make_interval(secs => {seconds})" for each in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE eventstore_consumer SET {later}")


# reports


def test_a_consumer_says_where_it_is_and_is_told_how_far_behind_it_is(follower, log):
    with nothing_written():
        told = reported(follower, 1)
    row = Consumer.objects.get(name="warehouse")
    assert (row.position, row.errors, row.epoch) == (1, [], identity.epoch())
    assert told.keys() == {"name", "position", "horizon", "behind", "reported_at"}
    assert (told["name"], told["position"], told["horizon"], told["behind"]) == ("warehouse", 1, log, log - 1)
    assert reported(follower, log, epoch=str(identity.epoch()), errors=["a", "b\nc"])["behind"] == 0
    shown = follower.get(PATH).json()
    assert (shown["position"], shown["behind"], shown["errors"]) == (log, 0, ["a", "b\nc"])
    assert shown["epoch"] == str(identity.epoch())
    reported(follower, log)
    assert follower.get(PATH).json()["errors"] == []


def test_what_the_feed_says_is_taken(follower, log):
    told = follower.get("/events?limit=2").json()
    assert reported(follower, told["next"], epoch=told["epoch"])["behind"] == told["horizon"] - told["next"]
    assert reported(follower, 0)["behind"] == log


def test_it_has_moved_only_when_its_position_rose(follower, log):
    reported(follower, 2)
    first = Consumer.objects.get()
    for position in (2, 1):
        reported(follower, position)
        later = Consumer.objects.get()
        assert later.reported_at > first.reported_at
        assert later.moved_at == first.moved_at
    reported(follower, 2)
    assert Consumer.objects.get().moved_at > first.moved_at


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/position", "required"),
        ({"position": -1}, "/position", "min-value"),
        ({"position": 2**63}, "/position", "max-value"),
        ({"position": 10**6}, "/position", "beyond-log"),
        ({"position": "1"}, "/position", "invalid"),
        ({"position": True}, "/position", "invalid"),
        ({"position": 1, "epoch": "x"}, "/epoch", "invalid"),
        ({"position": 1, "errors": "text"}, "/errors", "not-a-list"),
        ({"position": 1, "errors": ["x"] * 21}, "/errors", "max-length"),
        ({"position": 1, "errors": ["x", "y" * 501]}, "/errors/1", "max-length"),
        ({"position": 1, "errors": ["a\u0007"]}, "/errors/0", "control"),
        ({"position": 1, "errors": [7]}, "/errors/0", "invalid"),
        ({"position": 1, "name": "other"}, "/name", "unknown"),
    ],
)
def test_a_report_of_the_wrong_shape_is_refused(follower, log, body, pointer, code):
    problem = assert_problem(put(follower, body), 400, "invalid")
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [(pointer, code)]
    assert not Consumer.objects.exists()


def test_as_much_as_may_be_said_is_taken(follower, log):
    reported(follower, 1, f"/consumers/{'n' * 100}", errors=["x" * 500] * 20)
    assert len(Consumer.objects.get(name="n" * 100).errors) == 20


@pytest.mark.parametrize("name", ["n" * 101, "a.b", "a%20b", "%C3%A4", "a%00", "a%0A", "%22"])
def test_a_name_is_a_slug(follower, log, name):
    problem = assert_problem(put(follower, {"position": 1}, f"/consumers/{name}"), 400, "invalid")
    assert [each["pointer"] for each in problem["errors"]] == ["/name"]
    for method in ("GET", "DELETE"):
        assert_problem(follower.call(method, f"/consumers/{name}"), 404, "not-found")


def test_a_position_of_another_log_is_none_of_this(follower, log, fence):
    assert_problem(put(follower, {"position": 1, "epoch": str(new_id())}), 409, "log-restored")
    fence()
    assert_problem(put(follower, {"position": 1}), 503, "log-fenced")
    assert not Consumer.objects.exists()


# who


def test_only_who_may_follow_the_feed_reports_and_reads(log, follower):
    reported(follower, 1)
    for caller, status, code in ((Caller(), 401, "not-authenticated"), (callers.staff(), 403, "permission-denied")):
        assert_problem(put(caller, {"position": 1}), status, code)
        for method, path in (("GET", PATH), ("GET", "/consumers"), ("DELETE", PATH)):
            assert_problem(caller.call(method, path), status, code)


def test_a_name_belongs_to_who_reported_it_first_until_they_let_it_go(follower, log):
    other = follower_caller()
    reported(follower, 1)
    assert_problem(put(other, {"position": 2}), 403, "permission-denied")
    assert_problem(other.delete(PATH), 403, "permission-denied")
    assert other.get(PATH).json()["position"] == 1
    assert follower.delete(PATH).status_code == 204
    assert_problem(follower.delete(PATH), 404, "not-found")
    assert_problem(follower.get(PATH), 404, "not-found")
    assert reported(other, 2)["position"] == 2


def test_all_are_listed_page_by_page(follower, log):
    other = follower_caller()
    for caller, name in ((follower, "b"), (follower, "a"), (other, "c")):
        reported(caller, 1, f"/consumers/{name}")
    first = follower.get("/consumers?limit=2").json()
    rest = follower.get(first["next"].partition("testserver")[2]).json()
    assert [each["name"] for each in first["results"] + rest["results"]] == ["a", "b", "c"]
    assert rest["next"] is None
    assert {each["behind"] for each in first["results"]} == {log - 1}


def test_a_report_has_no_dry_run_and_nothing_else_is_put(follower, log):
    problem = assert_problem(put(follower, {"position": 1}, f"{PATH}?dry_run=true"), 400, "invalid")
    assert [each["code"] for each in problem["errors"]] == ["no-dry-run"]
    assert not Consumer.objects.exists()
    for path in ("/consumers", "/events", "/orders", f"/orders/{new_id()}"):
        assert_problem(put(follower, {"position": 1}, path), 405, "method-not-allowed")


# what was seen


def test_a_report_has_a_tag_that_lasts_until_the_next_report_whatever_happens_to_the_log(follower, log):
    tag = put(follower, {"position": 1})["ETag"]
    shop.customer()
    read = follower.get(PATH, If_None_Match=tag)
    assert (read.status_code, read["ETag"], read.json()["behind"]) == (200, tag, store.head() - 1)
    again = put(follower, {"position": 1})["ETag"]
    assert again != tag
    assert follower.get(PATH)["ETag"] == again
    assert_problem(follower.get(PATH, If_Match=tag), 412, "version-conflict")
    assert follower.get(PATH, If_Match=again).status_code == 200


def test_a_report_or_a_deletion_is_carried_out_only_while_the_report_that_it_names_is_the_last(follower, log):
    before = put(follower, {"position": 1})["ETag"]
    done = follower.call("PUT", PATH, {"position": 2}, If_Match=before)
    assert done.status_code == 200
    for method, body in (("PUT", {"position": 3}), ("DELETE", None)):
        assert_problem(follower.call(method, PATH, body, If_Match=before), 412, "version-conflict")
    assert follower.get(PATH).json()["position"] == 2
    assert_problem(follower.call("PUT", "/consumers/new", {"position": 1}, If_Match=before), 412, "version-conflict")
    assert follower.call("DELETE", PATH, If_Match=done["ETag"]).status_code == 204


def test_of_two_who_report_at_once_on_what_both_saw_one_is_refused(follower, log):
    tag = put(follower, {"position": 1})["ETag"]

    def report(position):
        with closing(connection):
            return follower.call("PUT", PATH, {"position": position}, If_Match=tag).status_code

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(report, (2, 3))) == [200, 412]


# how many


def test_a_user_has_so_many_names_and_no_more(follower, log, settings):
    settings.CONSUMERS_PER_USER = 2
    for name in ("a", "b"):
        reported(follower, 1, f"/consumers/{name}")
    assert_problem(put(follower, {"position": 1}, "/consumers/c"), 409, "too-many-consumers")
    assert reported(follower, 2, "/consumers/b")["position"] == 2
    assert reported(follower_caller(), 1, "/consumers/c")["position"] == 1
    assert follower.delete("/consumers/a").status_code == 204
    reported(follower, 1, "/consumers/d")
    settings.CONSUMERS_PER_USER = 0
    reported(follower, 1, "/consumers/e")


def test_who_names_many_at_once_has_no_more_of_them(follower, log, settings):
    settings.CONSUMERS_PER_USER = 2

    def report(name):
        with closing(connection):
            return put(follower, {"position": 1}, f"/consumers/{name}").status_code

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(report, "abcdef")) == [200] * 2 + [409] * 4
    assert Consumer.objects.count() == 2


# how it is


def test_one_that_is_up_with_the_log_is_well_however_long_it_says_nothing(follower, log):
    reported(follower, log)
    age(3600, "moved_at", "reported_at")
    assert issues() == []


def test_one_that_is_behind_and_does_not_move_has_stalled_as_a_subscriber_has(follower, log, settings):
    reported(follower, 1)
    assert issues() == []
    settings.EVENTSTORE_STALLED_AFTER_SECONDS = 0.001
    age(3600, "moved_at")
    reported(follower, 1)
    ((about, kind, text),) = issues()
    assert (about, kind) == ("warehouse", "consumer stalled")
    assert text.startswith(f"is {log - 1} events behind, for ")
    settings.EVENTSTORE_STALLED_AFTER_SECONDS = 3600
    assert kinds() == []
    reported(follower, 2)
    age(-60, "moved_at")  # before the clock was set back
    settings.EVENTSTORE_STALLED_AFTER_SECONDS = 0.001
    assert kinds() == ["consumer stalled"]
    reported(follower, log)
    assert issues() == []


def test_errors_are_told_of_and_not_told(follower, log):
    reported(follower, log, errors=["ada@example.org can't be written"])
    assert issues() == [("warehouse", "consumer errors", "reports 1 error")]
    reported(follower, log, errors=["a", "b"])
    assert issues() == [("warehouse", "consumer errors", "reports 2 errors")]
    reported(follower, log)
    assert issues() == []


def test_a_position_of_the_log_before_is_told_of_until_it_reports_anew(follower, log, fence):
    reported(follower, 1)
    fence()
    assert issues() == []
    identity.confirm(by="anna")
    assert issues() == [("warehouse", "consumer epoch", "is at a position of another log than this one")]
    assert [each.state for each in consumer_statuses()] == ["stale"]
    reported(follower, log)
    assert issues() == []
    assert Consumer.objects.get().epoch == LogIdentity.objects.get().epoch


def test_what_lasts_is_an_incident_that_ends_by_itself(follower, log, settings):
    settings.EVENTSTORE_RAISE_AFTER_SECONDS = settings.EVENTSTORE_RESOLVE_AFTER_SECONDS = 0
    settings.EVENTSTORE_HEALTH_CHECK_SECONDS = 0.0001
    reported(follower, log, errors=["no"])
    incidents.check_health()
    (raised,) = Incident.objects.filter(kind__in=ADVICE)
    assert (raised.about, raised.kind) == ("warehouse", "consumer errors")
    assert raised.raised_at is not None
    assert raised.ended_at is None
    reported(follower, log)
    incidents.check_health()
    raised.refresh_from_db()
    assert raised.ended_at is not None


def test_its_lag_is_measured(follower, log):
    reported(follower, 1)
    assert f'boxoffice_consumer_lag{{consumer="warehouse"}} {log - 1}.0' in metrics.text().decode()
