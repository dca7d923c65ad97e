"""Bank statements, as banks write them."""

from io import BytesIO
from typing import BinaryIO

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"


def camt(
    *entries: str, version: str = "08", account: str = "DE89370400440532013000", statement: str = "S1"
) -> BinaryIO:
    document = f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="{NAMESPACE.format(version=version)}">
<BkToCstmrStmt>
<GrpHdr><MsgId>M1</MsgId></GrpHdr>
<Stmt><Id>{statement}</Id>
<Acct><Id><IBAN>{account}</IBAN></Id></Acct>
<Bal><Amt Ccy="EUR">5.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>
{"".join(entries)}
</Stmt>
</BkToCstmrStmt>
</Document>"""
    return BytesIO(document.encode())


def entry(
    amount: str = "199.00",
    *,
    currency: str = "EUR",
    indicator: str = "CRDT",
    status: str = "<Cd>BOOK</Cd>",
    day: str = "2026-11-27",
    before: str = "",
    reference: str = "<AcctSvcrRef>BANK-1</AcctSvcrRef>",
    details: str = "",
) -> str:
    return f"""<Ntry>{before}
<Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{indicator}</CdtDbtInd>
<Sts>{status}</Sts>
<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>2026-11-28</Dt></ValDt>{reference}
<NtryDtls>{details}</NtryDtls>
</Ntry>
"""


def transaction(text: str = "", *, amount: str = "", reference: str = "", debtor: str = "") -> str:
    return f"""<TxDtls>
<Refs>{reference}<EndToEndId>NOTPROVIDED</EndToEndId></Refs>{amount}
<RltdPties>{debtor}</RltdPties>
<RmtInf><Ustrd>{text}</Ustrd></RmtInf>
</TxDtls>"""


def table(text: str, encoding: str = "utf-8") -> BinaryIO:
    return BytesIO(text.encode(encoding))
