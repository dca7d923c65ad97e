"""What the code says of each event, as staff see it."""

import pytest

from eventstore.admin.lists import prose
from eventstore.event_types import description
from eventstore.events import catalogue
from eventstore.models import StoredEvent
from tests.integration import shop
from tests.integration.admin.reading import text

pytestmark = pytest.mark.usefixtures("clean")

LOG = "/admin/eventstore/storedevent/"
TYPES = f"{LOG}types/"


def test_every_event_type_is_listed_with_who_records_and_who_wants_it(client, staff):
    staff("eventstore.view_storedevent")
    page = client.get(TYPES).content.decode()
    assert all(f'data-type="{event.stored}"' in page for event in catalogue)
    assert "/admin/eventstore/subscriberrow/of/mail.order-confirmation/" in page


def test_what_the_code_says_is_set_as_code_and_nothing_else_of_it_is_markup():
    assert prose("`a` < `b`, or <b>c</b>") == "<code>a</code> &lt; <code>b</code>, or &lt;b&gt;c&lt;/b&gt;"


def test_a_column_of_meanings_is_there_where_a_field_has_one(client, staff):
    staff("eventstore.view_storedevent")
    meanings = {
        each.name: any(field.meaning for field in each.fields) for each in description.describe() if each.fields
    }
    for name, has_some in meanings.items():
        assert ("<th>Meaning</th>" in text(client.get(f"{TYPES}{name}/"))) is has_some


def test_a_type_has_a_page_with_its_fields_versions_and_examples(client, staff):
    staff("eventstore.view_storedevent")
    page = text(client.get(f"{TYPES}order.placed/"))
    assert "It is to be paid until <code>expires_at</code>" in page
    assert "list of PricedLine" in page
    assert "Version 1 is from before conferences had payment terms" in page
    assert "BX-0000-0001" in page
    assert client.get(f"{TYPES}order.sung/").status_code == 404


def test_without_stored_examples_the_page_says_so(client, staff, settings):
    settings.EVENTSTORE_EXAMPLES = None
    staff("eventstore.view_storedevent")
    assert "No stored example is kept here." in text(client.get(f"{TYPES}order.placed/"))


def test_the_log_leads_to_the_types_of_its_events(client, staff):
    shop.customer()
    staff("eventstore.view_storedevent")
    first = StoredEvent.objects.get(position=1)
    assert TYPES in client.get(LOG).content.decode()
    assert f"{TYPES}{first.type}/" in client.get(f"{LOG}{first.position}/change/").content.decode()
    assert f'data-type="{first.type}"' in client.get(TYPES).content.decode()


def test_an_event_that_the_code_does_not_know_is_shown_all_the_same(client, staff):
    shop.customer()
    staff("eventstore.view_storedevent")
    first = StoredEvent.objects.get(position=1)
    known = catalogue[first.type]
    catalogue.unregister(known)
    try:
        page = client.get(f"{LOG}{first.position}/change/").content.decode()
    finally:
        catalogue.register(known)
    assert first.type in page
    assert f"{TYPES}{first.type}/" not in page


def test_who_may_not_see_the_log_sees_no_types(client, staff):
    staff("eventstore.view_incident")
    assert client.get(TYPES).status_code == 403
    assert client.get(f"{TYPES}order.placed/").status_code == 403
