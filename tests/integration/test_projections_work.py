"""The command line of what workers do: rebuild and verify, waited for, and told to programs."""

import json

import pytest
from django.core.management import CommandError, call_command

from ordering.models import OrderSummary
from projections.models import Generation
from tests.integration import shop
from tests.integration.processes import worker

pytestmark = pytest.mark.usefixtures("clean")

NAME = "order-summaries"


def projections(capsys, *arguments):
    try:
        call_command("projections", *arguments, "--json", "--wait", "--by", "ada")
    finally:
        answer = json.loads(capsys.readouterr().out)
    return answer


@pytest.fixture
def orders():
    conference = shop.conference_on_sale()
    return [shop.order(shop.customer(), conference) for _ in range(3)]


def test_a_rebuild_is_waited_for_and_told(capsys, orders):
    with worker(queues="rebuild"):
        answer = projections(capsys, "rebuild", NAME, "--parts", "2")
    assert (answer["status"], answer["error"]) == ("live", "")
    generation = Generation.objects.get(pk=answer["generation"])
    assert (generation.requested_by, generation.parts.count()) == ("ada", 2)


def test_a_verification_names_the_rows_that_differ_and_fails(capsys, orders):
    OrderSummary.objects.filter(pk=orders[1]).update(status="expired", currency="USD")
    with worker(queues="rebuild"):
        with pytest.raises(CommandError, match="1 rows are not what their events say"):
            projections(capsys, "verify", NAME)
        call_command("projections", "repair", NAME, "--wait", "--reason", "a bug", "--by", "ada")
        capsys.readouterr()
        answer = projections(capsys, "verify", NAME)
    assert (answer["compared"], answer["differing"], answer["rows"]) == (3, 0, [])
    found = Generation.objects.filter(projection=NAME, differing=1).get().differences.get()
    assert (found.key, found.kind) == (str(orders[1]), "differs")
    assert found.columns == {"status": ["expired", "awaiting_payment"], "currency": ["USD", "EUR"]}
