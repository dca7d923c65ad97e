"""Whatever is typed for an option of a command, it is answered or refused in words, and never with a traceback."""

import json
from argparse import _SubParsersAction
from contextlib import suppress
from io import StringIO

import pytest
from django.core.management import CommandError, call_command, load_command_class

from eventstore.errors import Refused
from eventstore.management import arguments
from tests.integration import shop

APPS = {
    **dict.fromkeys(("sagas", "effects"), "sagas"),
    **dict.fromkeys(("projections", "watches"), "projections"),
    **dict.fromkeys(("events", "log"), "eventstore"),
}
SUBSCRIBERS = {
    "sagas": "sale",
    "effects": "mail.welcome",
    "projections": "customer-profiles",
    "watches": "watch.books",
}
HUGE = "99999999999999999999"
LARGEST = "9" * arguments.DIGITS
WRONG = ["", HUGE, f"-{HUGE}", "9" * 5000, LARGEST, "-1", "nan", "inf", "0001-01-01T00:00+23:00"]
KEYED = [
    ("sagas", "list"),
    ("sagas", "commands"),
    ("sagas", "timers"),
    ("sagas", "retry", "sale"),
    ("sagas", "retry-command", "sale"),
    ("effects", "retry", "mail.welcome"),
    ("projections", "retry", "customer-profiles"),
    ("projections", "as-of", "customer-profiles", "--position", "1"),
    ("projections", "verify", "customer-profiles"),
    ("watches", "retry", "watch.books"),
]


def subcommands():
    """Each with its options, but those that write into the source."""
    for command, app in APPS.items():
        parser = load_command_class(app, command).create_parser("manage.py", command)
        (chosen,) = (each for each in parser._actions if isinstance(each, _SubParsersAction))
        for name, part in chosen.choices.items():
            if name != "lock":
                yield command, name, [each for each in part._actions if each.nargs != 0]


def typed(command, name, options, option, text):
    """A subcommand with this text for one of its options, and with something for all else that it needs."""
    said = {
        each: SUBSCRIBERS.get(command, "1") if not each.option_strings else "1" for each in options if each.required
    }
    said |= {each: "a test" for each in options if each.dest == "reason"} | {option: text}
    return [
        *(command, name, "--json"),
        *(f"{each.option_strings[0]}={word}" if each.option_strings else word for each, word in said.items()),
    ]


def refusal(*asked):
    out = StringIO()
    with pytest.raises(CommandError):
        call_command(*asked, "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def sold(clean):
    shop.pay(shop.order(shop.customer(), shop.conference_on_sale()))


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:24])
def test_every_option_is_answered_or_refused_in_words(sold, text):
    for command, name, options in subcommands():
        for option in options:
            with suppress(CommandError):
                call_command(*typed(command, name, options, option, text), stdout=StringIO(), stderr=StringIO())


@pytest.mark.parametrize("asked", KEYED, ids=" ".join)
def test_an_empty_key_is_refused_and_never_means_all(sold, asked):
    assert refusal(*asked, "--key", "") == {"error": "refused", "detail": "--key is empty."}


@pytest.mark.parametrize(
    "asked",
    [("sagas", "list", "--limit"), ("effects", "list", "--limit"), ("projections", "gaps", "sales-by-day", "--most")],
)
def test_a_number_out_of_range_is_refused(sold, asked):
    assert refusal(*asked, HUGE) == {"error": "refused", "detail": f"{asked[-1]}: '{HUGE}' is out of range."}


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_what_is_no_number_that_one_can_count_with_is_none(text):
    with pytest.raises(Refused, match=f"--rate: {text!r} is not a number"):
        arguments.value("--rate", text, float)
