"""What an operation asks for is read from its fields, whatever front end asks."""

from typing import Annotated

import pytest
from msgspec import Meta

from eventstore.admin.forms import OperationForm
from eventstore.errors import Refused
from eventstore.operations.base import Operation
from eventstore.operations.fields import OperationField, make_operation, operation_fields


class Everything(Operation, frozen=True, kw_only=True):
    """An operation with a field of each kind."""

    upto: Annotated[int, Meta(title="up to", description="The last one.", ge=1)]
    share: Annotated[float, Meta(le=1)] | None = None
    key: str = "all"
    dry_run: bool = False
    positions: tuple[int, ...] = ()


def test_every_field_but_the_subscriber_is_asked_for():
    assert operation_fields(Everything) == [
        OperationField("upto", "up to", "The last one.", int, many=False, required=True),
        OperationField("share", "share", "", float, many=False, required=False),
        OperationField("key", "key", "", str, many=False, required=False),
        OperationField("dry_run", "dry run", "", bool, many=False, required=False),
        OperationField("positions", "positions", "", int, many=True, required=False),
    ]


def test_a_form_reads_what_a_browser_sends():
    sent = {"upto": "7", "share": "0.5", "key": " k ", "dry_run": "on", "positions": "3, 4 5"}
    form = OperationForm(Everything, sent)
    assert form.is_valid()
    assert make_operation(Everything, "me", form.cleaned_data) == Everything(
        target="me", upto=7, share=0.5, key=" k ", dry_run=True, positions=(3, 4, 5)
    )


def test_what_is_left_empty_has_its_default():
    form = OperationForm(Everything, {"upto": "7", "share": "", "key": "", "positions": ""})
    assert form.is_valid()
    assert make_operation(Everything, "me", form.cleaned_data) == Everything(target="me", upto=7)


def test_a_form_says_what_is_missing_or_no_number():
    form = OperationForm(Everything, {"positions": "3, four"})
    assert form.errors.keys() == {"upto", "positions"}


def test_what_breaks_a_rule_of_its_field_is_refused():
    with pytest.raises(Refused, match=">= 1"):
        make_operation(Everything, "me", {"upto": 0})
