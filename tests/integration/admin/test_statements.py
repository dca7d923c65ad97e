"""Bank statements: uploaded, looked at, and booked, each line once."""

import re
from io import StringIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from eventstore.commands import dispatch
from eventstore.context import acting
from eventstore.models import StoredEvent
from ordering.admin import statement
from ordering.domain.payment import AcceptPayment
from ordering.domain.values import payment_id_of
from ordering.models import OrderSummary, StatementFile, UnmatchedMoney
from ordering.providers.references import reference_of
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.admin.reading import said, text
from tests.integration.api.caller import nothing_written
from tests.unit.statements import camt, entry, transaction

pytestmark = pytest.mark.usefixtures("clean")

URL = "admin:ordering_statement"


@pytest.fixture
def orders():
    """Three, of two seats each."""
    conference = shop.conference_on_sale()
    made = [shop.order(shop.customer(), conference, 2) for _ in range(3)]
    bring_to_rest()
    return made


def reference(order):
    return reference_of(payment_id_of(order))


def csv(*lines):
    rows = [f"2026-11-2{number};{amount};{says};Ada" for number, (amount, says) in enumerate(lines)]
    return "\n".join(["Buchungstag;Betrag (EUR);Verwendungszweck;Auftraggeber", *rows]).encode()


@pytest.fixture
def lines(orders):
    """All of it, a part, a reference with a slip, nothing that is known, and what left the account."""
    paid, part, slip = map(reference, orders)
    other = "A" if slip[-1] != "A" else "C"
    return [
        ("199,00", paid),
        ("100,00", f"Order {part}"),
        ("199,00", slip[:-1] + other),
        ("5,00", "thank you"),
        ("-9,00", "fees"),
    ]


def upload(client, content, name="statement.csv", **options):
    file = SimpleUploadedFile(name, content)
    return client.post(reverse(URL), {"file": file, **options}, follow=True)


def book(client, page, **how):
    answer = client.post(page.redirect_chain[-1][0], how, follow=True)
    bring_to_rest()
    return answer


def verdicts(page):
    return {each["verdict"]: each["count"] for each in page.context["groups"]}


@pytest.fixture
def cashier(staff):
    return staff(statement.BOOK_STATEMENT, "ordering.view_unmatchedmoney")


def test_a_statement_is_looked_at_and_then_booked(client, cashier, orders, lines):
    with nothing_written():
        page = upload(client, csv(*lines))
    assert verdicts(page) == {"matched": 1, "other amount": 1, "doubtful": 1, "unknown": 1, "outgoing": 1}
    assert OrderSummary.objects.get(pk=orders[0]).number in text(page)
    answer = book(client, page)
    assert said(answer) == ["Credited to orders: 2. To be assigned: 1. Known already: 0."]
    rows = [OrderSummary.objects.get(pk=each) for each in orders]
    assert [(row.status, str(row.received)) for row in rows] == [
        ("confirmed", "199.0000"),
        ("awaiting_payment", "100.0000"),
        ("awaiting_payment", "0.0000"),
    ]
    assert [str(each.amount) for each in UnmatchedMoney.objects.all()] == ["199.0000"]
    accepted = StoredEvent.objects.filter(type="payment.accepted")
    assert {each.data["provider"] for each in accepted} == {"bank-transfer"}
    assert {each.actor for each in accepted} == {f"staff:{cashier.pk}"}
    assert not StatementFile.objects.exists()


def test_what_is_fed_again_is_known_and_nothing_happens_twice(client, cashier, orders, lines):
    book(client, upload(client, csv(*lines)))
    page = upload(client, csv(*lines))
    assert verdicts(page) == {"known": 3, "unknown": 1, "outgoing": 1}
    with nothing_written():
        book(client, page)
    more = book(client, upload(client, csv(*lines)), keep_unknown="on")
    assert said(more) == ["Credited to orders: 0. To be assigned: 1. Known already: 3."]
    assert UnmatchedMoney.objects.count() == 2


def test_two_who_look_at_one_statement_book_it_once(client, cashier, orders, lines):
    pages = [upload(client, csv(*lines)) for _ in range(2)]
    book(client, pages[0])
    assert said(book(client, pages[1])) == ["Credited to orders: 0. To be assigned: 0. Known already: 3."]


def test_camt_is_read_as_well(client, cashier, orders):
    file = camt(entry(details=transaction(reference(orders[0]))))
    page = upload(client, file.read(), "camt.xml")
    assert verdicts(page) == {"matched": 1}
    book(client, page)
    assert OrderSummary.objects.get(pk=orders[0]).status == "confirmed"


def test_money_that_names_an_order_that_is_paid_in_another_way_is_for_staff_to_assign(client, cashier, orders):
    paid, *_ = orders
    shop.pay(paid, 2)
    bring_to_rest()
    numbers = [OrderSummary.objects.get(pk=each).number for each in orders]
    named = [("50,00", reference(paid)), ("60,00", f"Order {numbers[1].replace('-', ' ').lower()}, Ada")]
    page = upload(client, csv(*named, ("70,00", "BX-00000-00000")))
    assert verdicts(page) == {"doubtful": 2, "unknown": 1}
    doubtful = next(each for each in page.context["groups"] if each["verdict"] == "doubtful")
    assert [[order.number for order in each["found"].orders] for each in doubtful["lines"]] == [
        [numbers[0]],
        [numbers[1]],
    ]
    assert text(page).count("The order is paid by sandbox.") == 2
    assert said(book(client, page)) == ["Credited to orders: 0. To be assigned: 2. Known already: 0."]
    assert OrderSummary.objects.get(pk=orders[1]).received == 0
    assert UnmatchedMoney.objects.count() == 2


@pytest.fixture
def recorded(orders, cashier, settings):
    """The first order was paid by a transfer that somebody recorded by hand."""
    settings.PAYMENT_PROVIDER = "bank-transfer"
    with acting(actor=f"staff:{cashier.pk}"):
        dispatch(
            AcceptPayment(
                payment_id=payment_id_of(orders[0]),
                amount=shop.PRICE * 2,
                reference="Ada's transfer",
                provider="bank-transfer",
            )
        )
    bring_to_rest()
    return f"{timezone.now():%Y-%m-%d};199,00;{reference(orders[0])};Ada"


def told(*rows):
    return "\n".join(["Buchungstag;Betrag (EUR);Verwendungszweck;Auftraggeber", *rows]).encode()


def question(page):
    (group,) = (each for each in page.context["groups"] if each["verdict"] == "recorded")
    return f"same-{group['lines'][0]['found'].line.id}"


def test_a_transfer_that_was_recorded_by_hand_is_asked_about_until_somebody_answers(client, cashier, orders, recorded):
    page = upload(client, told(recorded))
    assert verdicts(page) == {"recorded": 1}
    asks = f"Probably recorded by hand on {timezone.now():%-d %b %Y} by {cashier.username}, as Ada&#x27;s transfer"
    assert asks in page.content.decode()
    with nothing_written():
        left_out = book(client, page)
    assert said(left_out) == ["Credited to orders: 0. To be assigned: 0. Known already: 0. Still to be answered: 1."]
    page = upload(client, told(recorded))
    answer = book(client, page, **{question(page): "yes"})
    assert said(answer) == ["Credited to orders: 0. To be assigned: 0. Known already: 1."]
    assert verdicts(upload(client, told(recorded))) == {"known": 1}
    assert OrderSummary.objects.get(pk=orders[0]).received == shop.PRICE.amount * 2


def test_other_money_than_was_recorded_by_hand_is_booked(client, cashier, orders, recorded):
    page = upload(client, told(recorded))
    answer = book(client, page, **{question(page): "no"})
    assert said(answer) == ["Credited to orders: 1. To be assigned: 0. Known already: 0."]
    assert verdicts(upload(client, told(recorded))) == {"known": 1}
    assert OrderSummary.objects.get(pk=orders[0]).received == shop.PRICE.amount * 4


def test_one_transfer_is_in_one_line_whether_of_one_statement_or_of_two(client, cashier, orders, recorded):
    another = recorded.replace("Ada", "Bob")
    page = upload(client, told(recorded, another))
    lines = [each["found"].line.id for group in page.context["groups"] for each in group["lines"]]
    assert (verdicts(page), len(lines)) == ({"recorded": 2}, 2)
    answer = book(client, page, **{f"same-{line}": "yes" for line in lines})
    assert said(answer) == ["Credited to orders: 0. To be assigned: 0. Known already: 1. Still to be answered: 1."]
    assert verdicts(upload(client, told(recorded, another))) == {"known": 1, "matched": 1}
    assert verdicts(upload(client, told(recorded.replace("Ada", "Eve")))) == {"matched": 1}


def test_what_a_statement_booked_another_amount_or_another_time_is_not_asked_about(client, cashier, orders, recorded):
    long_ago = f"2025-01-01;199,00;{reference(orders[0])};Ada"
    part = recorded.replace("199,00", "99,00")
    first = recorded.replace(reference(orders[0]), reference(orders[1]))
    book(client, upload(client, told(first)))
    again = first.replace("Ada", "Bob")
    assert verdicts(upload(client, told(long_ago, part, again))) == {"matched": 2, "other amount": 1}


def test_the_command_leaves_out_what_staff_have_to_answer(tmp_path, orders, recorded):
    file, out = tmp_path / "statement.csv", StringIO()
    file.write_bytes(told(recorded))
    with nothing_written():
        call_command("import_statement", str(file), stdout=out)
    assert out.getvalue() == "recorded: 1\n"
    call_command("import_statement", str(file), "--dry-run", stdout=out)
    assert "recorded BX-" in out.getvalue()
    assert "As much was recorded by hand on 20" in out.getvalue()


def test_a_dry_run_says_of_every_doubtful_line_why(tmp_path, orders):
    shop.pay(orders[0], 2)
    bring_to_rest()
    named = reference(orders[1])
    nearly = named[:-1] + ("A" if named[-1] != "A" else "C")
    several = f"{named} {reference(orders[2])}"
    file, out = tmp_path / "statement.csv", StringIO()
    file.write_bytes(csv(("50,00", reference(orders[0])), ("199,00", nearly), ("398,00", several)))
    call_command("import_statement", str(file), "--dry-run", stdout=out)
    assert re.findall(r" doubtful BX-.* ((?:The|It) .*)", out.getvalue()) == [
        "The order is paid by sandbox.",
        "The reference is nearly that of a payment.",
        "It may be for several payments.",
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_files_are_read_in_the_encodings_of_banks(client, cashier, orders, encoding):
    content = csv(("199,00", f"Grüße {reference(orders[0])}")).decode().encode(encoding)
    page = upload(client, content)
    assert verdicts(page) == {"matched": 1}
    assert "Grüße" in text(page)


def test_a_file_that_can_not_be_read_is_refused_with_all_that_is_wrong(client, cashier, monkeypatch):
    page = upload(client, csv(("1.234", "which is it?"), ("x", "no")))
    assert len(page.context["faults"]) == 2
    assert verdicts(upload(client, csv(("1.234", "which is it?")), decimal_separator=",")) == {"unknown": 1}
    assert not upload(client, b"").redirect_chain
    assert not upload(client, b"<x/>").redirect_chain
    monkeypatch.setattr(statement, "LARGEST", 10)
    assert "too large" in text(upload(client, csv(("1,00", "x"))))


def test_only_who_may_book_statements_sees_them(client, staff, orders, lines):
    staff("ordering.view_unmatchedmoney", "ordering.assign_payment")
    assert client.get(reverse(URL)).status_code == 403
    kept = StatementFile.objects.create(name="x", content=csv(*lines))
    assert client.post(reverse("admin:ordering_statement_lines", args=[kept.pk])).status_code == 403


def test_the_command_does_the_same(orders, lines, tmp_path):
    file = tmp_path / "statement.csv"
    file.write_bytes(csv(*lines))
    told = StringIO()
    with nothing_written():
        call_command("import_statement", str(file), "--dry-run", stdout=told)
    assert "199.00 EUR matched BX-" in told.getvalue()
    for expected in ("matched: 1", "known: 3"):
        told = StringIO()
        call_command("import_statement", str(file), stdout=told)
        assert expected in told.getvalue()
    bring_to_rest()
    assert OrderSummary.objects.get(pk=orders[0]).status == "confirmed"
    file.write_bytes(csv(("x", "no")))
    with pytest.raises(CommandError, match="Line 2"):
        call_command("import_statement", str(file))
    with pytest.raises(CommandError, match="can't be read"):
        call_command("import_statement", str(tmp_path / "nothing"))
