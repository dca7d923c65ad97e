"""How a later release reads what former ones have stored, one small function for each kind of change. They are declared
only while a test needs them.
"""

from eventstore import codec

RENAMED, SPLIT, JOINED, RETIRED = "customer.called", "customer.moved-house", "customer.reached", "customer.poked"
READIED, POSTED = "parcel.readied", "parcel.posted"
OLD = (RENAMED, SPLIT, JOINED, RETIRED, READIED, POSTED)


def it_has_another_name(data):
    return {"customer.renamed": data}


def names_had_two_parts(data):
    return {"customer_id": data["customer_id"], "name": f"{data['first']} {data['last']}"}


def it_was_two_in_one(data):
    """Where nobody had told another address, it is one."""
    who = {"customer_id": data["customer_id"]}
    named = {"customer.renamed": {**who, "name": data["name"]}}
    return named | ({"customer.email-changed": {**who, "email": data["email"]}} if data["email"] else {})


def it_is_one_with_another(data):
    return {"customer.renamed": {"customer_id": data["customer_id"], "name": data["title"]}}


def it_says_nothing_any_more(data):
    return {}


def it_was_both(data):
    return {"parcel.packed": data, "parcel.labelled": data}


def it_had_no_note(data):
    return {"parcel.sent-off": {**data, "note": ""}}


def declare() -> None:
    codec.upcaster(RENAMED, 1)(names_had_two_parts)
    codec.former(RENAMED, version=2, into={"customer.renamed": 1})(it_has_another_name)
    codec.former(SPLIT, into={"customer.renamed": 1, "customer.email-changed": 1})(it_was_two_in_one)
    codec.former(JOINED, into={"customer.renamed": 1})(it_is_one_with_another)
    codec.former(RETIRED, into={})(it_says_nothing_any_more)
    codec.former(READIED, into={"parcel.packed": 1, "parcel.labelled": 1})(it_was_both)
    codec.former(POSTED, into={"parcel.sent-off": 1})(it_had_no_note)


def withdraw() -> None:
    for name in OLD:
        codec.forget_upcasters(name)
