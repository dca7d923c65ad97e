import tracemalloc
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import BinaryIO

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ordering.domain.values import Money
from ordering.providers.statements.delimited import COLUMNS, read_csv
from ordering.providers.statements.line import Fault, StatementLine, StatementRefused

from .samples import euros
from .statements import table

GERMAN = """\
"Konto";"DE89 3704 0044 0532 0130 00"
"Zeitraum";"01.11.2026 - 30.11.2026"

"Buchungstag";"Valutadatum";"Auftraggeber/Empfänger";"Verwendungszweck";"Betrag";"Währung";"Info"
"27.11.2026";"28.11.2026";"Ada Lovelace";"KXWN-HFY6-
9K9J";"1.234,56";"EUR";"Umsatz gebucht"

"26.11.26";"26.11.26";"Die Druckerei";"Rechnung 7; danke";"-99,50";"EUR";"Umsatz gebucht"
"28.11.2026";"";"Wer";"";"5,00";"EUR";"Umsatz vorgemerkt"
"""
ENGLISH = """\
Booking date,Description,Debit,Credit,Transaction ID
2026-11-27,KXWN-HFY6-9K9J,,"1,234.56",T1
2026-11-26,Printer,99.50,,T2
"""
LARGE = 10_000


def refused(file: BinaryIO, **told) -> list[Fault]:
    with pytest.raises(StatementRefused) as error:
        read_csv(file, **told)
    return error.value.faults


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_german_statement_is_read_in_each_encoding(encoding):
    incoming, outgoing = read_csv(table(GERMAN, encoding))
    assert incoming == StatementLine(
        id=incoming.id,
        number=5,
        booked_on=date(2026, 11, 27),
        value_on=date(2026, 11, 28),
        amount=euros("1234.56"),
        remittance="KXWN-HFY6-\n9K9J",
        counterparty="Ada Lovelace",
    )
    assert (outgoing.number, outgoing.booked_on, outgoing.amount) == (8, date(2026, 11, 26), euros("-99.50"))
    assert outgoing.remittance == "Rechnung 7; danke"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_an_english_statement_is_read_with_each_delimiter(delimiter):
    text = ENGLISH.replace("1,234.56", "1'234.56").replace(",", delimiter)
    incoming, outgoing = read_csv(table(text), currency="GBP")
    assert (incoming.amount, outgoing.amount) == (Money(Decimal("1234.56"), "GBP"), Money(Decimal("-99.50"), "GBP"))
    assert incoming.id == "2026-11-27/credit/T1"


def test_debit_or_credit_may_have_a_column_of_its_own():
    lines = read_csv(table("Datum;Betrag;Soll/Haben;Währung\n27.11.2026;5,00;S;EUR\n27.11.2026;7,00;H;EUR\n"))
    assert [line.amount for line in lines] == [euros("-5"), euros("7")]


@pytest.mark.parametrize("header", ["Betrag (EUR)", "Umsatz in EUR", "Betrag (€)", "  BETRAG   (EUR) "])
def test_a_header_may_name_the_currency(header):
    (line,) = read_csv(table(f"Datum;{header}\n27.11.2026;5,00\n"))
    assert line.amount == euros("5")


def test_what_is_spread_over_numbered_columns_is_one_text():
    (line,) = read_csv(table("Datum;Betrag (EUR);Verwendungszweck 1;Verwendungszweck 2\n27.11.2026;5,00;KXWN-HF;Y6\n"))
    assert line.remittance == "KXWN-HF\nY6"


def test_headers_may_be_named():
    columns = {"booked_on": "jour", "amount": "somme", "remittance": "motif"}
    (line,) = read_csv(table("jour;somme;motif\n27.11.2026;5,00;KXWN\n"), columns=columns, currency="EUR")
    assert (line.amount, line.remittance) == (euros("5"), "KXWN")
    assert "No header" in refused(table("day;sum\n27.11.2026;5,00\n"), columns=columns)[0].text


def test_american_dates_only_where_they_are_agreed_upon():
    text = "Date,Amount\n12/31/2026,5.00\n"
    (line,) = read_csv(table(text), currency="USD", american_dates=True)
    assert line.booked_on == date(2026, 12, 31)
    assert refused(table(text), currency="USD") == [Fault(2, "'12/31/2026' is no date.")]


def test_all_faults_of_a_file_are_told_at_once_with_their_lines():
    rows = ["27.11.2026;5,00;EUR", "27.11.2026;1.234;EUR", "yesterday;5,00;EUR", ";;EUR", "27.11.2026;5,00", "1;2;3;4"]
    assert refused(table("\n".join(["Datum;Betrag;Währung", *rows]))) == [
        Fault(3, "'1.234' is ambiguous: say which the decimal separator is."),
        Fault(4, "'yesterday' is no date."),
        Fault(5, "'' is no date."),
        Fault(6, "No currency is said."),
        Fault(7, "There are 4 cells under 3 headers."),
    ]


def test_a_statement_error_reads_as_lines():
    with pytest.raises(StatementRefused, match=r"^Line 2: 'x' is no amount\.\nLine 3: '' is no date\.$"):
        read_csv(table("Datum;Betrag (EUR)\n27.11.2026;x\n;5,00\n"))


def test_what_is_ambiguous_is_read_when_the_decimal_separator_is_told():
    (line,) = read_csv(table("Datum;Betrag (EUR)\n27.11.2026;1.234\n"), decimal_separator=",")
    assert line.amount == euros("1234")


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("27.11.2026;5,00;7,00", "either a credit or a debit"),
        ("27.11.2026;;", "either a credit or a debit"),
    ],
)
def test_a_line_is_a_credit_or_a_debit(row, text):
    assert text in refused(table(f"Datum;Soll;Haben\n{row}\n"), currency="EUR")[0].text


def test_a_direction_that_is_not_known_is_a_fault():
    text = "Datum;Betrag (EUR);S/H\n27.11.2026;5,00;X\n27.11.2026;-5,00;S\n"
    assert [fault.number for fault in refused(table(text))] == [2, 3]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"nothing that is known\n1;2\n", b"\x00" * 9, b"\xff\xfe\x00"])
def test_what_has_no_header_is_refused(content):
    assert len(refused(BytesIO(content))) == 1


def test_bytes_that_are_no_text_are_told_with_their_line():
    content = b"Datum;Betrag (EUR);Verwendungszweck\n27.11.2026;5,00;" + b"\x81\n"
    (fault,) = refused(BytesIO(content))
    assert "is not cp1252" in fault.text


def test_a_header_names_one_field_only():
    names = [name for names in COLUMNS.values() for name in names]
    assert len(names) == len(set(names))


def test_two_equal_transfers_of_a_day_stay_two_also_when_a_later_export_has_more():
    header, row = "Datum;Betrag (EUR);Verwendungszweck\n", "27.11.2026;5,00;KXWN\n"
    once, twice = list(read_csv(table(header + row))), list(read_csv(table(header + row + row)))
    assert len({line.id for line in twice}) == 2
    assert once[0].id == twice[0].id


movements = st.lists(
    st.tuples(
        st.dates(date(2000, 1, 1), date(2099, 12, 31)),
        st.decimals(-(10**9), 10**9, places=2),
        st.text(st.characters(exclude_characters="\x00\r", exclude_categories=["Cs", "Cc"]), max_size=20),
    ),
    max_size=8,
)


@settings(deadline=None)
@for_all(movements, st.sampled_from([(".", ","), (",", "."), (" ", ",")]))
def test_amounts_come_back_and_the_same_statement_gives_the_same_ids(movements, style):
    thousands, decimal = style
    rows = ["Datum;Betrag (EUR);Verwendungszweck"]
    for day, amount, text in movements:
        written = f"{amount:,.2f}".replace(",", "t").replace(".", decimal).replace("t", thousands)
        quoted = text.replace('"', '""')
        rows.append(f'{day:%d.%m.%Y};"{written}";"{quoted}"')
    file = table("\n".join(rows))
    lines = list(read_csv(file))
    assert [(line.booked_on, line.amount) for line in lines] == [
        (day, Money(amount, "EUR")) for day, amount, _ in movements
    ]
    assert [line.remittance for line in lines] == [text.strip() for *_, text in movements]
    assert list(read_csv(file)) == lines
    assert len({line.id for line in lines}) == len(lines)


def test_a_large_file_needs_no_more_memory_than_its_size():
    rows = (f"27.11.2026;28.11.2026;{at},00;EUR;Somebody;Some words and a reference number {at}" for at in range(LARGE))
    file = table("\n".join(["Datum;Valuta;Betrag;Währung;Auftraggeber;Verwendungszweck", *rows]))
    size = file.seek(0, 2)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_csv(file)) == LARGE
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()
