"""A client that a generator makes from the published contract plays a whole sale, typed all through."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from ordering.management.commands.contract import PUBLISHED
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api.caller import PASSWORD


@pytest.fixture(scope="module")
def site(sites):
    with sites() as address:
        yield address


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Made without a warning; its modules by their names."""
    where = tmp_path_factory.mktemp("generated")
    tools = Path(sys.executable).parent
    subprocess.run(
        [
            tools / "openapi-python-client",
            "generate",
            f"--path={PUBLISHED}",
            f"--output-path={where / 'boxoffice_client'}",
            "--meta=none",
            "--fail-on-warning",
        ],
        check=True,
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        timeout=120,
    )
    sys.path.insert(0, str(where))
    yield lambda name: importlib.import_module(f"boxoffice_client{name}")
    sys.path.remove(str(where))


def test_it_plays_a_sale_from_registering_to_the_refund(site, generated):
    models, anyone = generated(".models"), generated("").Client(base_url=site)
    conference_id = shop.conference_on_sale()
    email, customer_id = f"{uuid4().hex}@example.org", uuid4()

    def call(name, *where, client=anyone, **how):
        answer = generated(f".api.{name}").sync_detailed(*where, client=client, **how)
        assert answer.status_code < 300, answer.content
        return answer.parsed

    wanted = models.RegisterRequest(id=customer_id, name="Ada", email=email, password=PASSWORD)
    assert call("customers.customers_create", body=wanted).id == customer_id
    credentials = models.CredentialsRequest(email=email, password=PASSWORD)
    token = call("auth.auth_token_create", body=credentials).token
    ada = generated("").AuthenticatedClient(base_url=site, token=token, prefix="Token")

    (kind,) = call("conferences.conferences_retrieve", conference_id).seat_types
    asked = models.PlaceRequest(
        customer_id=customer_id,
        conference_id=conference_id,
        lines=[models.LineRequest(seat_type=kind.code, quantity=2)],
    )
    tried = call("orders.orders_create", client=ada, body=asked, dry_run=True)
    assert isinstance(tried, models.WouldPlace)
    order = call("orders.orders_create", client=ada, body=asked, idempotency_key=str(uuid4()))
    assert isinstance(order, models.Order)
    assert order.status is models.OrderStatusEnum.AWAITING_PAYMENT

    paying = models.OutcomeRequest(outcome=models.OutcomeEnum.ACCEPTED)
    call("sandbox.sandbox_payments_create", order.payments[-1].id, client=ada, body=paying)
    paid = call("orders.orders_retrieve", order.id, client=ada)
    assert paid.status is models.OrderStatusEnum.CONFIRMED
    assert paid.payments[-1].status is models.PaymentStatusEnum.ACCEPTED

    cancelled = call("orders.orders_cancel_create", order.id, client=ada, body=models.CancelRequest(reason="ill"))
    assert cancelled.to_be_returned == paid.total
    bring_to_rest()
    refunded = call("orders.orders_retrieve", order.id, client=ada)
    assert refunded.status is models.OrderStatusEnum.REFUNDED
    (refund,) = refunded.payments[-1].refunds
    assert (refund.status, refund.amount) == (models.RefundStatusEnum.SETTLED, paid.total)
    types = [each.type_ for each in call("orders.orders_history_retrieve", order.id, client=ada).results]
    assert types[0] == "order.placed"
    assert "order.cancelled" in types


def test_it_is_told_why_something_is_refused(site, generated):
    models, anyone = generated(".models"), generated("").Client(base_url=site)
    wrong = models.CredentialsRequest(email="nobody@example.org", password="not this one")
    refused = generated(".api.auth.auth_token_create").sync(client=anyone, body=wrong)
    assert refused.code.value == "invalid-credentials"
