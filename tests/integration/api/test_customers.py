"""Customers: registering, reading, changing, and their logins."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from eventstore.commands import dispatch
from eventstore.models import StoredEvent
from ordering.api import logins
from ordering.domain.customer import ChangeCustomer
from ordering.models import CustomerAccount, CustomerProfile
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import PASSWORD, Caller, assert_problem, nothing_written

pytestmark = pytest.mark.usefixtures("clean", "quick_passwords")

ADDRESS = {"street": "St James's Square 12", "postal_code": "SW1Y", "city": "London", "country": "GB"}


def registering(**more):
    return {"name": "Ada Lovelace", "email": "Ada@example.org", "password": PASSWORD, **more}


def register(**more):
    return Caller().post("/customers", registering(**more))


def login(email="ada@example.org"):
    return Caller().post("/auth/token", {"email": email, "password": PASSWORD})


def token(email="ada@example.org"):
    return Caller(login(email).json()["token"])


def test_registering_answers_the_customer_and_where_it_is():
    answer = register(birth_date="1815-12-10", address=ADDRESS)
    assert answer.status_code == 201
    body = answer.json()
    assert body["registered_at"].endswith("Z")
    assert answer.headers["Location"] == f"http://testserver/api/v1/customers/{body['id']}"
    assert answer.headers["ETag"].startswith('"3-')
    assert answer.headers["Event-Position"] == "3"
    expected = {"name": "Ada Lovelace", "email": "Ada@example.org", "birth_date": "1815-12-10", "address": ADDRESS}
    told = {"id": body["id"], "registered_at": body["registered_at"], "email_confirmed": False}
    assert body == {**told, **expected}
    assert list(StoredEvent.objects.values_list("type", flat=True)) == [
        "customer.registered",
        "customer.birth-date-set",
        "customer.address-changed",
    ]
    read = token().get(f"/customers/{body['id']}")
    assert read.json() == answer.json()
    assert read.headers["ETag"] == answer.headers["ETag"]


def test_the_password_goes_to_the_login_and_nowhere_else():
    register()
    assert login().status_code == 201
    for event in StoredEvent.objects.all():
        assert PASSWORD not in str(vars(event))


def test_without_a_password_there_is_a_login_that_nobody_can_use():
    assert register(password=None).status_code == 400
    body = registering()
    del body["password"]
    assert Caller().post("/customers", body).status_code == 201
    assert not User.objects.get(username="ada@example.org").has_usable_password()


def test_the_same_again_is_answered_as_the_first_time_even_after_a_change():
    chosen = str(uuid4())
    first = register(id=chosen)
    assert first.json()["id"] == chosen
    assert token().patch(f"/customers/{chosen}", {"name": "Ada King"}).status_code == 200
    again = register(id=chosen)
    assert again.status_code == 201
    assert again.content == first.content
    assert again.headers["Event-Position"] == first.headers["Event-Position"]
    assert StoredEvent.objects.count() == 2


@pytest.mark.parametrize(
    "other",
    [{"name": "Another"}, {"email": "b@example.org"}, {"password": "quite another"}, {"birth_date": "1815-12-10"}],
)
def test_something_else_under_the_same_id_is_refused(other):
    chosen = str(uuid4())
    register(id=chosen)
    with nothing_written():
        assert_problem(register(id=chosen, **other), 409, "already-exists")


@pytest.mark.parametrize(
    ("birth_date", "code"),
    [(each, "invalid") for each in ("20240101", "2024-W01-1", "2024-1-1", "٢٠٢٤-٠١-٠١", "2023-02-29", "", 20240101)]
    + [("2999-01-01", "future")],
)
def test_a_birth_date_is_a_day_that_has_come_and_written_in_one_way(birth_date, code):
    with nothing_written():
        problem = assert_problem(register(birth_date=birth_date), 400, "invalid")
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/birth_date", code)]


def test_who_is_born_today_can_be_registered():
    assert register(birth_date=timezone.now().date().isoformat()).status_code == 201


@pytest.mark.parametrize("sign", ["\n", "\t", "\x1b", "\x85", "\u2028", "\u202e", "\u2066"])
def test_a_name_holds_nothing_that_changes_how_others_are_shown(sign):
    address = {**ADDRESS, "city": f"Lon{sign}don"}
    with nothing_written():
        problem = assert_problem(register(name=f"Ada{sign}Lovelace", address=address), 400, "invalid")
    assert {error["pointer"]: error["code"] for error in problem["errors"]} == {
        "/name": "control",
        "/address/city": "control",
    }


def test_names_of_all_writings_are_names():
    for number, name in enumerate(("Zoë 🙂", "محمد", "家光", "O'Brien-Ñuñez", "עדה")):
        assert register(name=name, email=f"ada{number}@example.org").json()["name"] == name


def test_a_password_of_spaces_is_none():
    with nothing_written():
        problem = assert_problem(register(password=" " * 12), 400, "invalid")
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/password", "blank")]


def test_an_id_that_something_of_another_kind_has_is_taken():
    conference = shop.conference_on_sale()
    with nothing_written():
        assert_problem(register(id=str(conference)), 409, "already-exists")


def test_an_address_belongs_to_one_customer():
    register()
    with nothing_written():
        assert_problem(register(email=" ADA@EXAMPLE.ORG"), 409, "email-taken")


def test_a_mailbox_belongs_to_one_customer_however_its_domain_is_written():
    register(email="ada@b\u00fccher.example")
    for spelling in ("ada@xn--bcher-kva.example", "ADA@bu\u0308cher.example", "ada@B\u00dcCHER.example"):
        with nothing_written():
            assert_problem(register(email=spelling), 409, "email-taken")
        assert login(spelling).status_code == 201
    assert register(email="ada@stra\u00dfe.example").status_code == 201
    assert register(email="ada@strasse.example").status_code == 201


@pytest.mark.parametrize(
    "email",
    ["mi\u212ae@example.org", "ada@mi\u212ae.example", "a@" + "\u00e9" * 60 + ".com", "a" * 65 + "@example.org"],
)
def test_an_address_that_no_mail_can_reach_is_refused(email):
    customer = register().json()["id"]
    with nothing_written():
        for answer in (register(email=email), token().patch(f"/customers/{customer}", {"email": email})):
            problem = assert_problem(answer, 400, "invalid")
            assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/email", "invalid")]


def test_the_same_domain_in_another_form_is_shown_so_and_is_the_same_login():
    customer = register(email="ada@b\u00fccher.example").json()["id"]
    changed = token("ada@b\u00fccher.example").patch(f"/customers/{customer}", {"email": "ada@xn--bcher-kva.example"})
    assert (changed.json()["email"], changed.json()["recorded"]) == (
        "ada@xn--bcher-kva.example",
        ["customer.email-changed"],
    )
    assert login("ada@b\u00fccher.example").status_code == 201


def test_an_address_that_names_a_login_of_staff_is_taken():
    User.objects.create(username="ada@example.org", is_staff=True)
    with nothing_written():
        assert_problem(register(), 409, "email-taken")


def test_a_registration_that_died_before_the_login_is_finished_by_the_same_call(monkeypatch):
    chosen = str(uuid4())
    with monkeypatch.context() as crash:
        crash.setattr(logins, "open_for", lambda *_: 1 / 0)
        assert_problem(register(id=chosen), 500, "internal-error")
    assert not CustomerAccount.objects.exists()
    with nothing_written():
        assert register(id=chosen).status_code == 201
    assert login().status_code == 201


def test_each_change_is_an_event_of_its_own_and_no_change_is_none():
    customer = register(address=ADDRESS).json()
    ada = token()
    change = {"name": "Ada King", "birth_date": "1815-12-10", "address": {**ADDRESS, "city": "Ockham"}}
    answer = ada.patch(f"/customers/{customer['id']}", change)
    assert answer.status_code == 200
    recorded = ["customer.renamed", "customer.birth-date-set", "customer.address-changed"]
    assert answer.json() == {**customer, **change, "recorded": recorded}
    assert answer.headers["ETag"].startswith('"5-')
    assert answer.headers["Event-Position"] == "5"
    again = ada.patch(f"/customers/{customer['id']}", change)
    assert StoredEvent.objects.count() == 5
    assert again.json()["recorded"] == []
    assert again.headers["Event-Position"] == "5"


def test_null_clears_and_what_is_left_out_stays():
    customer = register(address=ADDRESS, birth_date="1815-12-10").json()["id"]
    body = token().patch(f"/customers/{customer}", {"birth_date": None}).json()
    assert (body["birth_date"], body["address"]) == (None, ADDRESS)
    body = token().patch(f"/customers/{customer}", {"address": None}).json()
    assert (body["address"], body["recorded"]) == (None, ["customer.address-changed"])


def test_a_part_of_an_address_is_merged_with_the_rest():
    customer = register(address=ADDRESS).json()["id"]
    patch = {"address": {"city": "Ockham"}}
    body = token().patch(f"/customers/{customer}", patch, Content_Type="application/merge-patch+json").json()
    assert body["address"] == {**ADDRESS, "city": "Ockham"}
    errors = token().patch(f"/customers/{customer}", {"address": {"city": None}}).json()["errors"]
    assert [(error["pointer"], error["code"]) for error in errors] == [("/address/city", "required")]


def test_parts_of_an_address_that_are_changed_at_once_are_all_merged():
    customer, changed = register(address=ADDRESS).json()["id"], {name: f"{name} 2" for name in list(ADDRESS)[:3]}
    caller = token()

    def patch(name):
        with closing(connections["default"]):
            return caller.patch(f"/customers/{customer}", {"address": {name: changed[name]}}).status_code

    with ThreadPoolExecutor(len(changed)) as together:
        assert set(together.map(patch, changed)) == {200}
    assert caller.get(f"/customers/{customer}").json()["address"] == {**ADDRESS, **changed}


def test_null_does_not_clear_a_name():
    customer = register().json()["id"]
    with nothing_written():
        problem = assert_problem(token().patch(f"/customers/{customer}", {"name": None}), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == ["/name"]


def test_a_new_address_moves_the_login():
    customer = register().json()["id"]
    ada = token()
    assert ada.patch(f"/customers/{customer}", {"email": "Countess@example.org"}).status_code == 200
    assert login().status_code == 401
    assert login("countess@example.org").status_code == 201


def test_an_address_in_other_letters_is_shown_so_and_is_the_same_login():
    customer = register(email="ada@example.org").json()["id"]
    answer = token().patch(f"/customers/{customer}", {"email": "Ada@Example.org"})
    assert answer.json()["email"] == "Ada@Example.org"
    user = User.objects.get(username="ada@example.org")
    assert user.email == "Ada@Example.org"
    assert login("ADA@example.org").status_code == 201


def test_a_login_left_behind_by_a_crash_follows_with_the_next_call():
    customer = register().json()["id"]
    ada = token()
    dispatch(ChangeCustomer(customer_id=CustomerProfile.objects.get().pk, email="countess@example.org"))
    assert login("countess@example.org").status_code == 401
    assert ada.patch(f"/customers/{customer}", {"email": "countess@example.org"}).json()["recorded"] == []
    assert login("countess@example.org").status_code == 201


def test_a_login_left_behind_does_not_stand_in_the_way_of_who_has_the_address_now():
    register()
    dispatch(ChangeCustomer(customer_id=CustomerProfile.objects.get().pk, email="countess@example.org"))
    assert register(name="Ada Yonath").status_code == 201
    assert login().status_code == 201
    assert login("countess@example.org").status_code == 201


def test_a_login_that_staff_deleted_is_nobodys_to_open_again():
    body = registering(id=str(uuid4()))
    assert Caller().post("/customers", body).status_code == 201
    User.objects.get(username="ada@example.org").delete()
    for password in (PASSWORD, "quite another one"):
        assert_problem(Caller().post("/customers", {**body, "password": password}), 409, "already-exists")
        assert not User.objects.filter(username="ada@example.org").exists()
    customer = UUID(body["id"])
    dispatch(ChangeCustomer(customer_id=customer, email="countess@example.org"))
    assert callers.staff(is_superuser=True).get(f"/customers/{customer}").json()["email"] == "countess@example.org"


def test_two_who_exchanged_their_addresses_both_get_their_logins():
    ids = [UUID(register(email=f"{name}@example.org").json()["id"]) for name in ("a", "b")]
    for customer, email in zip(ids, ("c", "a"), strict=True):
        dispatch(ChangeCustomer(customer_id=customer, email=f"{email}@example.org"))
    dispatch(ChangeCustomer(customer_id=ids[0], email="b@example.org"))
    logins.follow(ids[0])
    accounts = dict(CustomerAccount.objects.values_list("customer_id", "user__username"))
    assert accounts == {ids[0]: "b@example.org", ids[1]: "a@example.org"}


def test_a_change_of_what_has_changed_since_is_refused():
    customer = register().json()["id"]
    ada = token()
    path = f"/customers/{customer}"
    first = ada.get(path)["ETag"]
    second = ada.patch(path, {"name": "Ada King"}, If_Match=first)["ETag"]
    for stale in (first, '"2"', '"abc"', f"W/{second}", second.strip('"'), f'"2-{"0" * 16}"', "nonsense", ""):
        with nothing_written():
            assert_problem(ada.patch(path, {"name": "Ada Byron"}, If_Match=stale), 412, "version-conflict")
    assert ada.patch(path, {"name": "Ada Byron"}, If_Match=f"{first}, {second}").status_code == 200
    assert ada.patch(path, {"name": "Ada"}, If_Match="*").status_code == 200


def test_who_has_this_version_already_is_told_so():
    customer = register().json()["id"]
    path = f"/customers/{customer}"
    ada = token()
    etag = ada.get(path)["ETag"]
    for known in (etag, f"W/{etag}", f'"1", {etag}', "*"):
        answer = ada.get(path, If_None_Match=known)
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    for other in ('"1"', "nonsense", ""):
        assert ada.get(path, If_None_Match=other).status_code == 200


def test_a_customer_who_cannot_be_read_yet_is_pending():
    customer, ada = callers.customer()
    CustomerProfile.objects.all().delete()
    answer = ada.get(f"/customers/{customer}")
    assert answer.status_code == 202
    assert answer.json() == {"status": "pending", "position": 1, "read_model_position": 1}
    assert answer.headers["Retry-After"] == "1"


def test_a_change_is_answered_even_while_the_read_model_is_behind():
    customer, ada = callers.customer()
    CustomerProfile.objects.all().delete()
    answer = ada.patch(f"/customers/{customer}", {"birth_date": None})
    assert answer.status_code == 200
    assert answer.json()["name"] == "Ada Lovelace"


def test_too_many_registrations_are_told_to_wait_but_not_those_of_the_storefront(settings):
    settings.THROTTLE_REGISTER = "1/min"
    assert register().status_code == 201
    refused = register(email="b@example.org")
    assert_problem(refused, 429, "throttled")
    assert int(refused.headers["Retry-After"]) >= 1
    storefront = callers.storefront()
    for number in range(3):
        assert storefront.post("/customers", registering(email=f"{number}@example.org")).status_code == 201


def test_the_password_of_a_registration_is_not_guessed_by_repeating_it(settings):
    settings.THROTTLE_ACCOUNT = "2/hour"
    known = {"id": str(uuid4()), "password": PASSWORD}
    for _ in range(4):
        assert register(**known).status_code == 201
    for number in range(2):
        assert_problem(register(**known | {"password": f"another horse {number}"}), 409, "already-exists")
    assert_problem(register(**known), 429, "throttled")


def test_a_weak_password_is_one_error_among_all():
    problem = assert_problem(register(email="no address", password="123", name=""), 400, "invalid")
    found = {(error["pointer"], error["code"]) for error in problem["errors"]}
    assert {("/email", "invalid"), ("/name", "blank"), ("/password", "password-too-short")} <= found
