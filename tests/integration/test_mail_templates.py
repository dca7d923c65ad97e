"""What customers read: each mail as plain text and as HTML, with names as people write them."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail as outbox

from ordering.domain.conference import PricedLine
from ordering.domain.values import Money
from ordering.effects import mail

PRICE = Money(Decimal("99.50"), "EUR")
VALUES: dict[str, dict[str, Any]] = {
    "welcome": {"profile_url": "https://boxoffice.example/profile/a-token"},
    "order_confirmation": {
        "order_id": uuid4(),
        "number": "BX-1234-5678",
        "lines": (PricedLine("standard", 2, PRICE),),
        "total": PRICE * 2,
    },
    "order_status": {
        "number": "BX-1234-5678",
        "status": "confirmed",
        "lines": (PricedLine("standard", 2, PRICE),),
        "total": PRICE * 2,
    },
}


def the_one_sent() -> tuple[outbox.EmailMultiAlternatives, str]:
    (sent,) = outbox.outbox
    assert isinstance(sent, outbox.EmailMultiAlternatives)
    ((html, kind),) = sent.alternatives
    assert kind == "text/html"
    return sent, str(html)


@pytest.mark.parametrize("template", VALUES)
def test_a_mail_greets_in_both_parts_and_links_to_the_site(template, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.BASE_URL = "https://boxoffice.example"
    name = "Sinéad O'Connor & Sons <x>"
    mail.send(template, to="a@example.org", message_id=uuid4(), name=name, **VALUES[template])
    sent, html = the_one_sent()
    assert name in sent.body
    assert "Sinéad O&#x27;Connor &amp; Sons &lt;x&gt;" in html
    assert "https://boxoffice.example" in sent.body
    assert 'href="https://boxoffice.example"' in html
    assert "src=" not in html


def test_a_confirmation_names_the_order_its_seats_and_its_total(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.send("order_confirmation", to="a@b.example", message_id=uuid4(), name="Ada", **VALUES["order_confirmation"])
    sent, html = the_one_sent()
    assert sent.subject == "Your order BX-1234-5678 is confirmed"
    for text in (sent.body, html):
        assert "standard" in text
        assert "99.50 EUR each" in text
        assert "199.00 EUR" in text


def test_a_welcome_leads_to_the_profile_from_both_parts(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.send("welcome", to="a@b.example", message_id=uuid4(), name="Ada", **VALUES["welcome"])
    sent, html = the_one_sent()
    url = VALUES["welcome"]["profile_url"]
    assert url in sent.body.splitlines()
    assert f'href="{url}"' in html
