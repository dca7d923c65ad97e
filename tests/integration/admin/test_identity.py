"""Where the log is, as operators see it, and how they let a copy of it act."""

import pytest

from eventstore import identity
from eventstore.models import LogIdentity
from tests.integration.admin.reading import WHY, listed, text, url

pytestmark = pytest.mark.usefixtures("clean")


IDENTITY = "/admin/eventstore/logidentity/"


@pytest.fixture
def fenced(fence):
    fence()


def test_where_the_log_is_stands_on_a_page_without_a_button_while_it_acts(client, staff):
    staff("eventstore.view_logidentity", "eventstore.confirm_identity")
    page = text(client.get(IDENTITY))
    found = identity.identity()
    assert found.here in page
    assert str(found.epoch) in page
    assert "fenced" not in page
    assert "Let this log act" not in page


def test_a_copy_is_let_act_for_a_reason(client, staff, fenced):
    staff("eventstore.view_logidentity", "eventstore.confirm_identity")
    page = client.get(IDENTITY)
    assert "This database is not the one" in text(page)
    address = page.context["offer"].url
    assert "From now on mails, commands of sagas and timers are sent" in text(client.get(address))
    assert "This field is required." in text(client.post(address, {"next": IDENTITY}))
    assert identity.is_fenced()
    answer = client.post(address, {"next": IDENTITY} | WHY, follow=True)
    assert answer.redirect_chain == [(IDENTITY, 302)]
    assert not identity.is_fenced()
    assert [row.operation for row in answer.context["actions"]] == ["confirm"]
    refused = client.post(address, WHY)
    assert "The log is in the database that it was last confirmed to be in." in text(refused)


def test_a_log_that_has_forgotten_where_it_is_can_be_let_act_too(fenced):
    LogIdentity.objects.all().delete()
    assert identity.is_fenced()
    epoch = identity.confirm(by="anna")
    assert (identity.identity().epoch, identity.is_fenced()) == (epoch, False)


def test_who_may_only_look_is_told_and_cannot_confirm(client, staff, fenced):
    staff("eventstore.view_logidentity")
    page = text(client.get(IDENTITY))
    assert "This database is not the one" in page
    assert "Let this log act" not in page
    assert client.post(url("confirm", "log"), WHY).status_code == 403
    assert identity.is_fenced()


def test_the_front_page_the_probe_and_prometheus_say_that_nothing_is_sent(client, staff, fenced):
    staff(superuser=True)
    (finding,) = [each for each in client.get("/admin/").context["problems"] if each.about == "log"]
    assert (finding.url, finding.grave) == (IDENTITY, True)
    assert "A copy: nothing is sent from here" in text(client.get("/admin/"))
    ready = client.get("/readyz").json()
    assert ready["status"] == "degraded"
    assert any("The log is fenced" in reason for reason in ready["reasons"])
    assert "boxoffice_log_fenced 1.0" in client.get("/metrics").content.decode()


def test_while_it_acts_prometheus_says_so(client):
    assert "boxoffice_log_fenced 0.0" in client.get("/metrics").content.decode()


def test_the_records_tell_of_the_log_too(client, staff, fenced):
    staff(superuser=True)
    client.post(url("confirm", "log"), WHY)
    records = "/admin/eventstore/operatoraction/"
    (record,) = listed(client, records, target="log")
    assert (record.operation, record.reason) == ("confirm", "a customer called")
    assert IDENTITY in text(client.get(records))
