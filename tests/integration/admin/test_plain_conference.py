"""The pages of a conference, of an order and of a waitlist need no theme: all that can be done is there in Django's own
admin.
"""

import os
import subprocess
import sys

import pytest

from tests.integration.plain import BASE_DIR

pytestmark = pytest.mark.usefixtures("clean")

VISIT = """
import django
django.setup()
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import setup_test_environment
from django.urls import reverse
from ordering.admin.conference_acts import ACTS
from ordering.models import ConferenceSummary
from sagas.testing import bring_to_rest
from tests.integration import shop

setup_test_environment()
assert admin.site.__class__ is admin.AdminSite
conference = shop.conference_on_sale()
client = Client()
client.force_login(User.objects.create_superuser("plain"))
page = reverse("admin:ordering_conferencesummary_change", args=[conference])


def do(act, *key, **said):
    url = reverse("admin:ordering_conferencesummary_act", args=[conference, act, *key])
    assert url in client.get(page).content.decode(), act
    form = client.get(url).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    said = {name: value for name, value in {**shown, **said}.items() if value is not None}
    assert client.post(url, said).status_code == 302, act
    return ConferenceSummary.objects.get(pk=conference)


do("add-seats", code="student", name="Student", price="10.00", capacity=5)
do("add-pool", code="hall", name="Hall", capacity=50)
do("pools", "standard", pools=["hall"])
(hold_id,) = do("hold", "standard", quantity=2, label="Speakers", reason="Free entry.").holds
do("release", hold_id)
do("price", "standard", price="10.00")
do("capacity", "standard", capacity=60, reason="Smaller hall.")
do("terms", "standard", name="Regular", max_per_order=2)
do("pool", "hall", name="Great hall", capacity=55)
do("rename", name="DjangoCon")
do("move", place="Berlin")
do("sales-window", opens_at="2020-01-01T09:00")
do("close-sales", reason="The hall is in doubt.")
row = do("open-sales")
assert (row.name, row.place, row.seat_types["standard"]["available"]) == ("DjangoCon", "Berlin", 55)
shown = client.get(page).content.decode()
assert "55 of 60 left" in shown and "conference.moved" in shown
for url in ("ordering_conferencesummary_changelist", "ordering_conferencesummary_add"):
    assert client.get(reverse(f"admin:{url}")).status_code == 200, url

order = shop.order(shop.customer(), conference)
bring_to_rest(deliver=False)
page = reverse("admin:ordering_ordersummary_change", args=[order])


def do_about_it(act, *key, **said):
    url = reverse("admin:ordering_ordersummary_act", args=[order, act, *key])
    assert url in client.get(page).content.decode(), act
    form = client.get(url).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    said = {name: value for name, value in {**shown, **said}.items() if value is not None}
    assert client.post(url, said).status_code == 302, act
    bring_to_rest()


do_about_it("record-payment", provider="bank-transfer", reference="RF12")
do_about_it("refund", "1", amount="5.00", reason="The seat was broken.")
((refund, _),) = client.get(page).context["refunds"]
do_about_it("mark-refund-made", refund["key"], refund_reference="cheque 7")
do_about_it("cancel", reason="She is ill.")
shown = client.get(page).content.decode()
assert "5.00 EUR of RF12 went back by hand, cheque 7." in shown and "Made by hand" in shown

full = shop.conference_on_sale(1)
ada = shop.customer()
shop.order(ada, full)
entry = shop.wait(ada, full)
page = reverse("admin:ordering_waitlistentry_change", args=[entry])
for act, said in (("priority", {"priority": 5, "reason": "She speaks."}), ("take-off", {"reason": "A twin."})):
    url = reverse("admin:ordering_waitlistentry_act", args=[entry, act, entry])
    assert url in client.get(page).content.decode(), act
    form = client.get(url).context["form"]
    assert client.post(url, {**{name: form[name].value() for name in form.fields}, **said}).status_code == 302, act
assert "priority 5 instead of 0: She speaks." in client.get(page).content.decode()
waits = shop.wait(ada, full)
page = client.get(reverse("admin:ordering_conferencesummary_change", args=[full]))
assert 'aria-label="Waitlist"' in page.content.decode()
assert str(waits) in client.get(reverse("admin:ordering_waitlistentry_changelist")).content.decode()
print("visited")
"""


def test_what_staff_do_needs_no_theme():
    settings = {"DJANGO_SETTINGS_MODULE": "tests.integration.admin.plain_settings"}
    command = [sys.executable, "-c", VISIT]
    done = subprocess.run(
        command, cwd=BASE_DIR, env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.endswith("visited\n"), done.stdout + done.stderr
