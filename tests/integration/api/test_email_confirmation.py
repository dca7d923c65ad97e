"""An address that is confirmed: a mail, a link that works once, and a customer who is known to read it."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from eventstore import repository, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent
from ordering.domain.customer import ChangeCustomer, ConfirmEmail, Customer, RegisterCustomer
from ordering.effects.customer import send_email_link
from ordering.models import CustomerProfile
from ordering.pages import links
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api.caller import PASSWORD, Caller, assert_problem, nothing_written, staff

pytestmark = pytest.mark.usefixtures("clean", "quick_passwords")

ADA, KING = "ada@example.org", "king@example.org"
LINK = re.compile(r"http://\S+/email/(\S+)")


@pytest.fixture(autouse=True)
def unbraked(settings):
    settings.THROTTLE_LINKS = settings.THROTTLE_MAILBOX = "1000/s"


@pytest.fixture
def ada(mails):
    answer = Caller().post("/customers", {"name": "Ada", "email": ADA, "password": PASSWORD})
    assert answer.json()["email_confirmed"] is False
    bring_to_rest()
    return UUID(answer.json()["id"])


@pytest.fixture
def caller(ada):
    token = Caller().post("/auth/token", {"email": ADA, "password": PASSWORD}).json()["token"]
    return Caller(token)


@pytest.fixture
def link(ada, mails):
    """The token of the welcome mail."""
    return token_of(mails[-1])


def token_of(mail):
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    found = LINK.search(text)
    assert found, text
    assert f"/email/{found[1]}" in html
    return found[1]


def confirm(token):
    return Caller().post("/auth/email/confirm", {"token": token})


def is_confirmed(customer_id):
    shown = CustomerProfile.objects.get(pk=customer_id).email_confirmed
    assert shown == repository.get(Customer, customer_id).email_confirmed
    return shown


def page_of(token, do=None):
    client = Client()
    return client.get(f"/email/{token}") if do is None else client.post(f"/email/{token}", {"do": do})


def asked(caller, ada, mails):
    assert caller.post(f"/customers/{ada}/email-link").status_code == 202
    bring_to_rest()
    return token_of(mails[-1])


def types():
    return list(StoredEvent.objects.order_by("position").values_list("type", flat=True))


def test_the_welcome_mail_has_a_link_that_confirms_the_address(ada, caller, mails, link):
    assert [(mail["To"], mail["Subject"]) for mail in mails] == [(ADA, "Welcome to Boxoffice")]
    before = caller.get(f"/customers/{ada}")
    answer = confirm(link)
    assert (answer.status_code, answer.content) == (204, b"")
    after = caller.get(f"/customers/{ada}")
    assert (before.json()["email_confirmed"], after.json()["email_confirmed"]) == (False, True)
    assert before.headers["ETag"] != after.headers["ETag"]
    (recorded,) = StoredEvent.objects.filter(type="customer.email-confirmed")
    assert (recorded.data, recorded.actor) == ({"customer_id": str(ada), "email": ADA}, f"customer:{ada}")
    bring_to_rest()
    assert len(mails) == 1


def test_a_link_works_once(ada, link):
    assert confirm(link).status_code == 204
    with nothing_written():
        assert_problem(confirm(link), 400, "invalid-token")
    assert types().count("customer.email-confirmed") == 1


def test_a_changed_address_is_to_be_confirmed_by_a_mail_to_it(ada, caller, mails, link):
    confirm(link)
    changed = caller.patch(f"/customers/{ada}", {"email": KING})
    assert changed.json()["email_confirmed"] is False
    bring_to_rest()
    assert [(mail["To"], mail["Subject"]) for mail in mails[1:]] == [(KING, "Your new address at Boxoffice")]
    assert confirm(token_of(mails[-1])).status_code == 204
    assert is_confirmed(ada)


def test_a_link_is_over_once_the_address_has_changed_also_when_it_is_changed_back(ada, mails, link):
    dispatch(ChangeCustomer(customer_id=ada, email=KING))
    assert_problem(confirm(link), 400, "invalid-token")
    dispatch(ChangeCustomer(customer_id=ada, email=ADA))
    assert_problem(confirm(link), 400, "invalid-token")
    assert page_of(link).status_code == 404
    bring_to_rest()
    assert [mail["To"] for mail in mails[1:]] == [ADA]
    assert confirm(token_of(mails[-1])).status_code == 204


def test_a_link_that_is_an_hour_old_or_was_made_up_is_refused_alike(ada, link):
    old = links.email_token(ada, ADA, 1, timezone.now() - timedelta(minutes=61))
    nobody = links.email_token(new_id(), ADA, 1, timezone.now())
    forged = link[:-1] + ("A" if link[-1] != "A" else "B")
    password = links.password_token(ada, ADA, "", timezone.now())
    with nothing_written():
        problems = [
            assert_problem(confirm(token), 400, "invalid-token")
            for token in (old, nobody, forged, password, "x", "a.b.c", "\u00e4")
        ]
    assert len({problem["detail"] for problem in problems}) == 1


def test_a_dry_run_is_refused_and_confirms_nothing(ada, link):
    with nothing_written():
        assert_problem(Caller().post("/auth/email/confirm?dry_run=true", {"token": link}), 400, "invalid")


def test_a_customer_asks_for_another_mail(ada, caller, mails, link):
    answer = caller.post(f"/customers/{ada}/email-link")
    assert (answer.status_code, answer.json()) == (202, caller.get(f"/customers/{ada}").json())
    bring_to_rest()
    assert [(mail["To"], mail["Subject"]) for mail in mails[1:]] == [(ADA, "Your address at Boxoffice")]
    assert confirm(token_of(mails[-1])).status_code == 204
    assert_problem(confirm(link), 400, "invalid-token")


def test_nobody_is_sent_a_link_whose_address_is_confirmed(ada, caller, mails, link):
    caller.post(f"/customers/{ada}/email-link")
    confirm(link)
    before = types()
    assert caller.post(f"/customers/{ada}/email-link").json()["email_confirmed"] is True
    assert types() == before
    bring_to_rest()
    assert len(mails) == 1


def test_a_link_that_was_asked_for_too_long_ago_is_not_mailed(ada, caller, mails, settings):
    caller.post(f"/customers/{ada}/email-link")
    settings.EMAIL_LINK_MINUTES = 0
    bring_to_rest()
    assert len(mails) == 1


def test_what_was_asked_for_with_a_key_is_asked_for_once(ada, caller, mails):
    key = new_id().hex
    answers = [caller.post(f"/customers/{ada}/email-link", Idempotency_Key=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert types().count("customer.email-link-requested") == 1


def test_an_outdated_tag_asks_for_nothing(ada, caller):
    stale = caller.get(f"/customers/{ada}").headers["ETag"]
    caller.patch(f"/customers/{ada}", {"name": "Ada King"})
    with nothing_written():
        assert_problem(caller.post(f"/customers/{ada}/email-link", If_Match=stale), 412, "version-conflict")


def test_nobody_asks_for_a_mail_to_somebody_else(ada, caller):
    other = shop.customer()
    with nothing_written():
        assert_problem(caller.post(f"/customers/{other}/email-link"), 404, "not-found")
        assert_problem(staff().post(f"/customers/{ada}/email-link"), 403, "permission-denied")
        assert_problem(Caller().post(f"/customers/{ada}/email-link"), 401, "not-authenticated")


def test_too_many_mails_to_one_mailbox_are_braked(ada, caller, settings):
    settings.THROTTLE_MAILBOX = "2/hour"
    answers = [caller.post(f"/customers/{ada}/email-link") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert int(answers[-1].headers["Retry-After"]) > 3500


def test_a_mail_that_is_sent_again_is_the_same(ada, caller, mails):
    asked(caller, ada, mails)
    (requested,) = StoredEvent.objects.filter(type="customer.email-link-requested")
    recorded = next(each for each in store.read_stream(ada) if each.type == requested.type)
    send_email_link.act(recorded.event, recorded)
    first, again = mails[1:]
    assert (again["Message-ID"], token_of(again)) == (first["Message-ID"], token_of(first))


def test_who_is_imported_without_a_mail_is_not_confirmed_and_can_ask(mails):
    customer_id = new_id()
    dispatch(RegisterCustomer(customer_id=customer_id, name="Ada", email=ADA, welcome=False))
    bring_to_rest()
    assert (len(mails), is_confirmed(customer_id)) == (0, False)


def test_nothing_is_refused_to_who_has_not_confirmed(ada, caller):
    conference = shop.conference_on_sale()
    body = {"conference_id": str(conference), "lines": [{"seat_type": "standard", "quantity": 1}]}
    assert caller.post("/orders", {"customer_id": str(ada), **body}).status_code == 201


def test_to_open_the_page_confirms_nothing(ada, link):
    for _ in range(2):
        page = page_of(link)
        assert page.status_code == 200
        assert ADA in page.content.decode()
        assert Client().head(f"/email/{link}").status_code == 200
    assert not is_confirmed(ada)


def test_the_button_of_the_page_confirms(ada, link):
    client = Client(enforce_csrf_checks=True)
    path = f"/email/{link}"
    page = client.get(path)
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("no-store", "strict-origin")
    text = page.content.decode()
    assert "<script" not in text
    found = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', text)
    assert found
    assert client.post(path, {"do": "confirm"}).status_code == 403
    done = client.post(path, {"do": "confirm", "csrfmiddlewaretoken": found[1]}, follow=True)
    assert done.redirect_chain == [(path, 302)]
    assert (done.status_code, is_confirmed(ada)) == (200, True)
    assert "Your address is confirmed" in done.content.decode()
    again = page_of(link, "confirm")
    assert (again.status_code, "Your address is confirmed" in again.content.decode()) == (200, True)
    assert types().count("customer.email-confirmed") == 1


def test_a_press_of_no_button_confirms_nothing(ada, link):
    assert page_of(link, "").status_code == 200
    assert not is_confirmed(ada)


def outdated(ada, email=ADA, number=1):
    return links.email_token(ada, email, number, timezone.now() - timedelta(minutes=61))


def test_an_outdated_link_sends_another(ada, mails):
    page = page_of(outdated(ada))
    assert (page.status_code, "This link is over" in page.content.decode()) == (404, True)
    assert page_of(outdated(ada), "confirm").status_code == 404
    assert not is_confirmed(ada)
    assert page_of(outdated(ada), "send").status_code == 200
    bring_to_rest()
    assert [mail["To"] for mail in mails] == [ADA, ADA]
    assert confirm(token_of(mails[-1])).status_code == 204


def test_an_outdated_link_tells_nothing_of_the_address_by_now(ada, mails):
    """It is answered alike when that is confirmed, or they have another."""
    others = [shop.customer() for _ in range(2)]
    confirmed, changed = (f"{each.hex}@example.org" for each in others)
    dispatch(ConfirmEmail(customer_id=others[0], email=confirmed))
    dispatch(ChangeCustomer(customer_id=others[1], email=KING))
    tokens = [outdated(ada), outdated(others[0], confirmed), outdated(others[1], changed)]
    bring_to_rest()
    mails.clear()
    shown, sent = ([page_of(token, do) for token in tokens] for do in (None, "send"))
    for answers in (shown, sent):
        assert len({(each.status_code, without_csrf(each)) for each in answers}) == 1
    bring_to_rest()
    assert [mail["To"] for mail in mails] == [ADA]


def without_csrf(answer):
    return re.sub(r'csrfmiddlewaretoken" value="[^"]+"', "", answer.content.decode())


def test_a_made_up_link_sends_nothing(ada, mails):
    forged = links.email_token(new_id(), ADA, 1, timezone.now())
    with nothing_written():
        for token in (forged, "a.b.c"):
            assert page_of(token).status_code == page_of(token, "send").status_code == 404
            assert "Send another mail" not in page_of(token).content.decode()


def test_a_page_that_is_asked_for_too_many_mails_says_so(ada, settings):
    settings.THROTTLE_MAILBOX = "2/hour"
    answers = [page_of(outdated(ada), "send") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 3500
    assert "too many attempts" in answers[-1].content.decode()


def test_no_line_of_a_log_has_the_token_or_the_address(ada, caller, mails):
    with capture_logs() as lines:
        token = asked(caller, ada, mails)
        page_of(token)
        confirm(token)
    said = str([{key: value for key, value in line.items() if key != "request"} for line in lines])
    assert ADA not in said


def test_of_some_who_use_a_link_at_once_one_confirms(ada, link):
    def use(_):
        with closing(connection):
            return confirm(link).status_code

    with ThreadPoolExecutor(4) as threads:
        statuses = sorted(threads.map(use, range(4)))
    assert statuses == [204, 400, 400, 400]
    assert types().count("customer.email-confirmed") == 1
