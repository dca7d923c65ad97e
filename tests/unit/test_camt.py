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
from ordering.providers.statements.camt import read_camt
from ordering.providers.statements.line import Fault, StatementLine, StatementRefused

from .samples import euros
from .statements import camt, entry, transaction

OLD = "<Dbtr><Nm>Ada Lovelace</Nm></Dbtr>"
LARGE = 5_000
NEW = "<Dbtr><Pty><Nm>Ada Lovelace</Nm></Pty></Dbtr>"


def refused(file: BinaryIO) -> list[Fault]:
    with pytest.raises(StatementRefused) as error:
        read_camt(file)
    return error.value.faults


@pytest.mark.parametrize(
    ("version", "status", "debtor"),
    [
        ("02", "BOOK", OLD),
        ("04", "BOOK", OLD),
        ("06", "BOOK", OLD),
        ("08", "<Cd>BOOK</Cd>", NEW),
        ("13", "<Cd>BOOK</Cd>", NEW),
    ],
)
def test_an_entry_is_read_in_each_version(version, status, debtor):
    details = transaction("KXWN-HFY6-9K9J\nthank you", debtor=debtor)
    (line,) = read_camt(camt(entry(status=status, details=details), version=version))
    assert line == StatementLine(
        id="DE89370400440532013000/2026-11-27/credit/BANK-1",
        number=8,
        booked_on=date(2026, 11, 27),
        value_on=date(2026, 11, 28),
        amount=euros("199"),
        remittance="KXWN-HFY6-9K9J\nthank you",
        counterparty="Ada Lovelace",
        account="DE89370400440532013000",
        bank_reference="BANK-1",
    )


def test_a_debit_is_negative_and_names_who_was_paid():
    parties = OLD.replace("Dbtr", "Cdtr").replace("Ada Lovelace", "The Printer")
    (line,) = read_camt(camt(entry(indicator="DBIT", details=transaction(debtor=parties))))
    assert (line.amount, line.counterparty) == (euros("-199"), "The Printer")


def test_a_reversal_is_told_and_has_another_id_than_what_it_takes_back():
    taken_back = entry(indicator="DBIT", before="<RvslInd>true</RvslInd>")
    line, reversal = read_camt(camt(entry(), taken_back))
    assert (line.reversal, reversal.reversal) == (False, True)
    assert line.id != reversal.id


def test_a_transfer_that_was_returned_is_a_reversal():
    returned = "<TxDtls><RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls>"
    (line,) = read_camt(camt(entry(details=returned)))
    assert line.reversal


def test_each_transaction_of_a_batch_is_a_line():
    new = transaction("one", amount='<Amt Ccy="EUR">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>')
    old = transaction("two", amount='<AmtDtls><TxAmt><Amt Ccy="EUR">99.00</Amt></TxAmt></AmtDtls>')
    lines = list(read_camt(camt(entry(details=new + old))))
    assert [(line.amount, line.remittance) for line in lines] == [(euros("100"), "one"), (euros("99"), "two")]
    assert [line.id.rpartition("credit/")[2] for line in lines] == ["BANK-1", "BANK-1/2"]


def test_a_transaction_that_has_a_reference_of_its_own_has_that_one():
    details = transaction(reference="<AcctSvcrRef>OWN</AcctSvcrRef>")
    (line,) = read_camt(camt(entry(details=details)))
    assert line.bank_reference == "OWN"


def test_an_entry_number_goes_with_the_statement_that_counts():
    numbered = entry(reference="<NtryRef>1</NtryRef>")
    (first,), (second,) = (read_camt(camt(numbered, statement=each)) for each in ("S1", "S2"))
    assert (first.bank_reference, second.bank_reference) == ("S1/1", "S2/1")


@pytest.mark.parametrize("reference", ["", "<AcctSvcrRef>NONREF</AcctSvcrRef>", "<AcctSvcrRef> </AcctSvcrRef>"])
def test_without_a_reference_equal_transfers_of_a_day_stay_two(reference):
    lines = list(read_camt(camt(entry(reference=reference), entry(reference=reference))))
    assert len({line.id for line in lines}) == 2
    assert lines[1].id == f"{lines[0].id}/2"


def test_what_is_not_booked_is_no_money_yet():
    assert list(read_camt(camt(entry(status="<Cd>PDNG</Cd>"), entry(status="INFO")))) == []


def test_one_transaction_is_of_the_amount_of_its_entry_whatever_the_payer_paid_in():
    details = transaction(amount='<AmtDtls><TxAmt><Amt Ccy="CHF">190.00</Amt></TxAmt></AmtDtls>')
    (line,) = read_camt(camt(entry(details=details)))
    assert line.amount == euros("199")


def test_a_batch_may_fall_short_by_the_charges_that_it_tells():
    part = '<Amt Ccy="EUR">100.00</Amt>'
    charges = "<Chrgs><TtlChrgsAndTaxAmt>1.00</TtlChrgsAndTaxAmt></Chrgs>"
    details = transaction(amount=part) + transaction(amount=part + charges)
    assert [line.amount for line in read_camt(camt(entry(details=details)))] == [euros("100")] * 2


def test_a_reference_may_stand_in_structured_information():
    structured = "<TxDtls><RmtInf><Strd><CdtrRefInf><Ref>KXWN</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>"
    (line,) = read_camt(camt(entry(details=structured)))
    assert line.remittance == "KXWN"


def test_all_faults_of_a_file_are_told_at_once_with_their_lines():
    half = transaction(amount='<Amt Ccy="EUR">100.00</Amt>')
    faults = refused(
        camt(
            entry("x"),
            entry(),
            entry(day="2026-02-31"),
            entry(indicator="BOTH"),
            entry(details=half + transaction()),
            entry(details=half + half),
            entry(currency="euro"),
            entry(details=half + half.replace("EUR", "CHF")),
        )
    )
    assert [(fault.number, fault.text) for fault in faults] == [
        (8, "'x' is no amount."),
        (20, "'2026-02-31' is no date."),
        (26, "An entry has no amount, or is neither credit nor debit."),
        (32, "An entry has no amount, or is neither credit nor debit."),
        (46, "The amounts of a batch don't add up to that of its entry."),
        (60, "A currency is three capital letters."),
        (66, "A batch has amounts of another currency than its entry."),
    ]


def test_an_entry_without_a_date_is_a_fault():
    assert "no date" in refused(camt(entry().replace("BookgDt", "X").replace("ValDt", "Y")))[0].text


BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE bomb [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
<Document><BkToCstmrStmt><Stmt><Id>&b;</Id></Stmt></BkToCstmrStmt></Document>"""
OUTSIDE = b"""<!DOCTYPE d SYSTEM "file:///etc/passwd"><Document><BkToCstmrStmt/></Document>"""


@pytest.mark.parametrize("content", [BOMB, OUTSIDE])
def test_entities_and_document_types_are_refused(content):
    assert "has no place" in refused(BytesIO(content))[0].text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "no well-formed XML"),
        (b"Buchungstag;Betrag", "no well-formed XML"),
        (b"<Document><BkToCstmrStmt>", "no well-formed XML"),
        (b"<?xml version='1.0' encoding='nonsense'?><Document/>", "encoding"),
        (b"<Document><BkToCstmrAcctRpt/></Document>", "no CAMT.053"),
    ],
)
def test_what_is_no_statement_is_refused(content, text):
    assert text in refused(BytesIO(content))[0].text


@settings(deadline=None)
@for_all(
    st.lists(
        st.tuples(st.decimals(0, 10**9, places=2), st.sampled_from(["CRDT", "DBIT"]), st.sampled_from("ab")), max_size=8
    )
)
def test_amounts_come_back_and_the_same_statement_gives_the_same_ids(movements):
    file = camt(
        *(
            entry(f"{amount:f}", indicator=indicator, reference="", details=transaction(text))
            for amount, indicator, text in movements
        )
    )
    lines = list(read_camt(file))
    signed = [Money(amount if indicator == "CRDT" else -amount, "EUR") for amount, indicator, _ in movements]
    assert [line.amount for line in lines] == signed
    assert list(read_camt(file)) == lines
    assert len({line.id for line in lines}) == len(lines)


def test_a_large_file_needs_less_memory_than_its_size():
    file = camt(
        *(entry(f"{Decimal(at) / 100:.2f}", reference=f"<AcctSvcrRef>B{at}</AcctSvcrRef>") for at in range(LARGE))
    )
    size = file.seek(0, 2)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_camt(file)) == LARGE
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()
