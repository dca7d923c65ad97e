"""Calls that are made up from our own contract, valid and invalid, by everybody who may call a site that really runs.

To try more of them, and others:
FUZZ=100 FUZZ_SEED=7 pytest tests/integration/api/test_made_up_calls.py --timeout=0
"""

import os
from typing import Any
from uuid import uuid4

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from schemathesis.generation import GenerationMode

from eventstore import store
from ordering.domain.values import payment_id_of
from tests.integration import shop
from tests.integration.api.caller import V1, Caller, caller_for, customer, follower, staff, storefront, written

FUZZ = int(os.environ.get("FUZZ", "1"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
REFUSED = ["2xx", "304", "400", "401", "403", "404", "409", "412", "422"]
PROBLEM = {"type", "title", "status", "code", "detail", "correlation_id"}
ANYTHING = {"X-Correlation-Id", "If-Match", "If-None-Match"}
"""Headers that may say whatever they like."""

UNTOLD = {
    "": {"invalid", "malformed", "invalid-signature", "invalid-token", "beyond-log"},
    "/position": {"invalid", "beyond-log"},  # 2.0 is an integer for a schema
    "/quantity": {"invalid"},
    "/cursor": {"invalid"},
    "/types": {"unknown"},
    "/as_of": {"invalid", "beyond-log"},
    "/password": {"password-too-short", "password-too-common", "password-entirely-numeric", "password-too-similar"},
    "/provider": {"unknown-provider"},
    "/email": {"invalid", "max-length"},
    "/birth_date": {"future", "invalid"},
    "/currency": {"unknown-currency"},
    "/amount": {"too-many-decimals", "required", "invalid"},
    "/reference": {"required"},
    "/customer_id": {"required"},
}
"""What a call can be wrong with that its contract does not tell, by the last step of its pointer."""

UNBRAKED = dict.fromkeys(
    ("THROTTLE_REGISTER", "THROTTLE_TOKEN", "THROTTLE_ACCOUNT", "THROTTLE_LINKS", "THROTTLE_MAILBOX"), "1000000/min"
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def site(sites):
    with sites(**UNBRAKED) as address:
        yield address


def called_by(role):
    """The headers of somebody in a role, and by the names of the contract what they may come across."""
    customer_id, itself = customer()
    on_sale, sold_out = shop.conference_on_sale(), shop.conference_on_sale(1)
    open_order, paid_order = shop.order(customer_id, on_sale, 2), shop.order(customer_id, sold_out)
    shop.pay(paid_order)
    roles = {"anonymous": Caller, "customer": lambda: itself, "storefront": storefront, "staff": staff}
    caller = caller_for(follower()) if role == "follower" else roles[role]()
    ids = {
        "customer_id": [customer_id],
        "conference_id": [on_sale, sold_out],
        "order_id": [open_order, paid_order],
        "payment_id": [payment_id_of(open_order), payment_id_of(paid_order)],
        "entry_id": [shop.wait(customer_id, sold_out)],
    }
    known = {name: [*map(str, values), str(uuid4())] for name, values in ids.items()}
    lines = [[{"seat_type": "standard", "quantity": quantity}] for quantity in (1, 2, 11)]
    followed = {"after": [0, 1, store.head()], "wait": [0, 1]}
    return caller.headers, {**known, **followed, "provider": ["sandbox"], "lines": lines}


def narrowed(contract, known):
    """The contract of what there is: whoever makes up a call for it meets something. Who calls is not made up."""
    del contract["components"]["securitySchemes"]
    for operation in (operation for path in contract["paths"].values() for operation in path.values()):
        operation.pop("security", None)
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in known:
                parameter["schema"] = {"enum": known[parameter["name"]]}
    for name, schema in contract["components"]["schemas"].items():
        if name.endswith("Request"):
            schema["properties"] |= {each: {"enum": known[each]} for each in schema["properties"] if each in known}
    return contract


def allowing():
    """All checks; what is well written can still be refused, by rules and by what has happened before."""
    return schemathesis.Config.from_dict({"checks": {"positive_data_acceptance": {"expected-statuses": REFUSED}}})


def in_order(operations):
    """Before something is given up others use it, and the token comes last."""
    return sorted(operations, key=lambda operation: (operation.method == "delete", "/auth/" in operation.path))


def modes(operation):
    """Valid calls, and invalid ones, of which there are none where nothing is said."""
    says = operation.body or [each for each in operation.iter_parameters() if each.name not in ANYTHING]
    return list(GenerationMode) if says else [GenerationMode.POSITIVE]


def making_up(test):
    everything = settings(
        max_examples=FUZZ,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    return seed(SEED)(everything(test))


@pytest.mark.parametrize("role", ["anonymous", "customer", "storefront", "staff", "follower"])
def test_whatever_is_called_is_done_or_is_refused_as_a_problem_that_writes_nothing(site, role, subtests):
    headers, known = called_by(role)
    session = requests.Session()
    published = session.get(f"{site}{V1}/schema", headers={"Accept": "application/vnd.oai.openapi+json"}).json()
    contract: Any = schemathesis.openapi.from_dict(narrowed(published, known), config=allowing())

    def try_it(case):
        note(f"Again with FUZZ={FUZZ} FUZZ_SEED={SEED}")
        before = written()
        response = case.call(base_url=site, session=session, headers={**headers, "X-Correlation-Id": str(uuid4())})
        case.validate_response(response)
        if response.status_code == 400 and case.meta.generation.mode.is_positive:
            for error in response.json().get("errors") or [{"pointer": "", "code": response.json()["code"]}]:
                assert error["code"] in UNTOLD["".join(error["pointer"].rpartition("/")[1:])], error
        if response.status_code >= 400:
            assert response.headers["content-type"] == ["application/problem+json"], case.as_curl_command()
            problem = response.json()
            assert problem.keys() >= PROBLEM, problem
            assert problem["status"] == response.status_code
            assert [problem["correlation_id"]] == response.headers["x-correlation-id"]
        if response.status_code >= 400 or "dry_run=true" in str(response.request.url):
            assert written() == before, case.as_curl_command()

    for operation in in_order(each.ok() for each in contract.get_all_operations()):
        for mode in modes(operation):
            with subtests.test(operation=operation.label, mode=mode.value):
                making_up(given(operation.as_strategy(generation_mode=mode))(try_it))()


@pytest.mark.parametrize("role", ["customer", "storefront"])
def test_whoever_goes_on_with_what_was_answered_gets_what_the_contract_says(site, role):
    headers, known = called_by(role)
    published = requests.get(f"{site}{V1}/schema", timeout=30).json()
    contract: Any = schemathesis.openapi.from_dict(narrowed(published, known), config=allowing())

    class Following(contract.as_state_machine()):  # type: ignore[misc]  # made at run time
        def get_call_kwargs(self, case):
            return {"base_url": site, "headers": {**headers, "X-Correlation-Id": str(uuid4())}}

    steps = settings(
        max_examples=max(2, FUZZ),
        stateful_step_count=6,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    Following.run(settings=steps)
