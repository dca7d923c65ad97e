"""A file of customers is imported: what is good once, what is bad with all that is wrong with it."""

import json
import threading
from io import BytesIO, StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connections

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.errors import Busy
from eventstore.imports import error_file, runs
from eventstore.imports.importer import UnknownImporter
from eventstore.imports.lines import JSON_LINES, FileRefused, Format
from eventstore.models import Claim, CommandRecord, ImportRun, StoredEvent
from eventstore.store import MOST_EVENTS
from ordering.domain.customer import ChangeCustomer, RegisterCustomer
from ordering.models import CustomerProfile
from sagas.models import Delivery
from sagas.testing import bring_to_rest
from tests.integration.importing import HEADER, begin, file_of, imported, line, registered, steps

pytestmark = pytest.mark.usefixtures("clean")


def faults(run):
    """What is wrong with each refused line, by column."""
    return {
        each.number: {column: text for column, text in each.faults}  # noqa: C416 - pairs, and not triples
        for each in runs.refused_of(run)
    }


def of(*lines):
    return "\n".join([HEADER, *lines, ""]).encode()


def corrected(run, mend):
    """The file of refused lines, with what is wrong put right."""
    written = StringIO()
    error_file.write(written, runs.refused_of(run), Format(), run.header)
    return mend(written.getvalue()).encode(error_file.ENCODING)


def test_an_address_of_a_file_is_judged_as_any_other():
    run = imported(
        of("Ada,ada@b\u00fccher.example,,,,,", "Eve,ada@xn--bcher-kva.example,,,,,", "Mike,mi\u212ae@example.org,,,,,")
    )
    assert registered() == ["ada@b\u00fccher.example"]
    assert {number: [*columns] for number, columns in faults(run).items()} == {3: ["email"], 4: ["email"]}


def test_a_customer_of_a_file_is_registered_like_any_other():
    imported(file_of(1))
    events = StoredEvent.objects.filter(category="customer")
    assert [event.type for event in events] == [
        "customer.registered",
        "customer.birth-date-set",
        "customer.address-changed",
    ]
    profile = CustomerProfile.objects.get()
    address = {"street": "0 High Street", "postal_code": "12345", "city": "London", "country": "GB"}
    assert (profile.name, profile.email, profile.address) == ("Customer, 0", "customer0@example.org", address)
    command = CommandRecord.objects.get()
    assert (command.first_position, command.last_position) == (events[0].position, events[2].position)
    assert {event.causation_id for event in events} == {command.pk}
    assert {event.metadata["root"] for event in events} == {str(command.pk)}
    assert {event.correlation_id for event in events} == {ImportRun.objects.get().pk}
    assert Claim.objects.get().stream_id == profile.pk


def test_many_are_appended_in_few_transactions_and_read_models_follow():
    run = imported(file_of(500))
    assert (run.carried_out, run.refused, run.reached, run.read) == (500, 0, 501, run.size)
    assert run.ended_at
    assert StoredEvent.objects.filter(category="customer").count() == 1500
    assert CommandRecord.objects.count() == 500
    assert CustomerProfile.objects.count() == 500
    batches = {step.reached for step in steps(file_of(501))}
    assert len(batches) <= 2 * 1503 // MOST_EVENTS


def test_everything_that_is_wrong_with_a_line_is_told_at_once():
    run = imported(of(",nowhere,1 May,High Street,12345,London,Britain", line(1)))
    assert faults(run) == {
        2: {
            "name": "This field is required.",
            "email": "Enter a valid email address.",
            "birth_date": "A day such as 1815-12-10.",
            "country": "This value does not match the required pattern.",
        }
    }
    assert registered() == ["customer1@example.org"]


def test_a_line_of_json_is_the_body_of_the_api():
    bodies: list[dict[str, Any]] = [
        {"name": "Ada", "email": "ada@example.org", "address": {"street": "1", "postal_code": "2", "city": "3"}},
        {"name": "Bob", "email": "bob@example.org", "birth_date": "1990-02-03", "favourite": "red"},
        {"name": "Eve", "email": "eve@example.org", "birth_date": None},
    ]
    content = "\n".join(map(json.dumps, bodies)).encode()
    run = imported(content, written=Format(kind=JSON_LINES))
    assert faults(run) == {
        1: {"address.country": "This field is required."},
        2: {"favourite": "There is no such field."},
    }
    assert registered() == ["eve@example.org"]
    written = StringIO()
    error_file.write(written, runs.refused_of(run), Format(kind=JSON_LINES))
    first, second = map(json.loads, written.getvalue().splitlines())
    assert first == {
        "line": 1,
        "errors": [{"column": "address.country", "text": "This field is required."}],
        **bodies[0],
    }
    del second["favourite"]
    first["address"]["country"] = "GB"
    again = imported("\n".join(map(json.dumps, (first, second))).encode(), written=Format(kind=JSON_LINES))
    assert (again.carried_out, again.refused) == (2, 0)


def test_a_line_that_can_not_be_read_stays_refused_until_somebody_corrects_it():
    run = imported(b'{"name": "Ada", \n', written=Format(kind=JSON_LINES))
    written = StringIO()
    error_file.write(written, runs.refused_of(run), Format(kind=JSON_LINES))
    again = imported(written.getvalue().encode(), written=Format(kind=JSON_LINES))
    assert (again.carried_out, again.refused) == (0, 1)


def test_an_address_that_is_in_the_file_twice_names_the_line_that_has_it():
    lines = [line(1), line(2), line(1).replace("customer1@example.org", "Customer1@EXAMPLE.org")]
    run = imported(of(*lines))
    assert faults(run) == {4: {"email": "Line 2 has the same."}}
    assert registered() == ["customer1@example.org", "customer2@example.org"]


def test_an_address_that_somebody_has_is_refused():
    dispatch(RegisterCustomer(customer_id=new_id(), name="Ada", email="customer1@example.org"))
    get_user_model().objects.create_user("customer3@example.org")
    run = imported(file_of(5))
    taken = "Another customer has this email address."
    assert faults(run) == {3: {"email": taken}, 5: {"email": taken}}
    assert run.carried_out == 3


def test_an_id_may_be_given_and_begins_one_stream():
    chosen = new_id()
    run = imported(
        f"id,name,email\n{chosen},Ada,ada@example.org\n{chosen},Bob,bob@example.org\n,Eve,e@e.org\n".encode()
    )
    assert faults(run) == {3: {"": "There is already something with this id."}}
    assert CustomerProfile.objects.get(name="Ada").pk == chosen


def test_a_file_that_is_fed_again_registers_nobody_twice():
    content = file_of(300, bad={7})
    imported(content)
    again = imported(content)
    assert (again.carried_out, again.repeated, again.refused) == (0, 299, 1)
    assert len(registered()) == 299


def test_what_was_refused_is_looked_at_once_more_when_the_file_is_fed_again():
    ada = new_id()
    dispatch(RegisterCustomer(customer_id=ada, name="Ada", email="customer1@example.org"))
    assert imported(file_of(3)).refused == 1
    dispatch(ChangeCustomer(customer_id=ada, email="ada@example.org"))
    again = imported(file_of(3))
    assert (again.carried_out, again.repeated, again.refused) == (1, 2, 0)


def test_corrected_lines_are_fed_again():
    run = imported(file_of(100, bad={3, 50}))
    content = corrected(run, lambda text: text.replace("nowhere", "new@example.org", 1).replace("nowhere", "e@e.org"))
    again = imported(content)
    assert (again.carried_out, again.refused) == (2, 0)
    assert len(registered()) == 100


def test_an_import_that_stopped_goes_on_where_it_was():
    content = file_of(1000, bad={10, 990})
    going = steps(content)
    reached = [next(going).reached for _ in range(3)][-1]
    going.close()
    left = [step.reached for step in steps(content)]
    assert min(left) > reached
    run = imported(content)
    assert (run.carried_out + run.repeated, run.refused) == (998, 2)
    assert len(registered()) == 998


def test_without_its_run_a_file_is_known_by_its_lines():
    content = file_of(200)
    imported(content)
    ImportRun.objects.all().delete()
    again = imported(content)
    assert (again.carried_out, again.repeated) == (0, 200)


def test_one_process_at_a_time_imports_a_file():
    content = file_of(300)
    going = steps(content)
    next(going)
    raised = []

    def other():
        try:
            next(steps(content))
        except Busy as busy:
            raised.append(str(busy))
        finally:
            connections.close_all()

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert raised == ["Another process is importing this file."]
    assert [*going]


def test_two_files_that_name_the_same_people_register_each_once():
    files = [file_of(400), b"\n".join([HEADER.encode(), *reversed(file_of(400).splitlines()[1:])])]
    ended = []

    def work(content):
        try:
            ended.append(imported(content))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(content,)) for content in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(run.carried_out for run in ended) == sum(run.refused for run in ended) == 400
    assert sorted(registered()) == sorted(f"customer{number}@example.org" for number in range(400))
    assert CustomerProfile.objects.count() == 400


def test_a_dry_run_says_the_same_and_writes_nothing():
    dispatch(RegisterCustomer(customer_id=new_id(), name="Ada", email="customer1@example.org"))
    before = StoredEvent.objects.count()
    content = file_of(300, bad={7}) + f"{line(20)}\n".encode()
    dry_run = runs.DryRun("customers", BytesIO(content), Format(), {})
    *_, last = dry_run.steps()
    assert (last.carried_out, last.repeated, last.refused) == (298, 0, 3)
    assert (StoredEvent.objects.count(), ImportRun.objects.count()) == (before, 0)
    run = imported(content)
    assert [*runs.refused_of(run)] == dry_run.refused
    *_, last = runs.DryRun("customers", BytesIO(content), Format(), {}).steps()
    assert (last.carried_out, last.repeated) == (0, 298)


def test_a_file_that_can_not_be_read_ends_its_run_with_the_reason():
    with pytest.raises(FileRefused):
        imported(b"mail\nada@example.org\n")
    run = ImportRun.objects.get()
    assert run.ended_at
    assert run.fault.startswith("There is no column 'mail'")


def test_a_file_that_is_read_in_another_way_begins_again():
    content = "name,email\nZoë,zoe@example.org\nAda,ada@example.org\n".encode("windows-1252")
    assert imported(content).refused == 1
    again = imported(content, written=Format(encoding="windows-1252"))
    assert (again.carried_out, again.repeated, again.refused) == (1, 1, 0)


def test_only_what_can_be_imported_is():
    with pytest.raises(UnknownImporter):
        runs.begin("orders", BytesIO(b""), name="", written=Format(), options={}, by="test")


def test_nobody_is_greeted_who_is_imported_unless_that_is_wanted(mailoutbox):
    imported(file_of(3))
    bring_to_rest()
    assert not Delivery.objects.exists()
    imported(of(line(7)), options={"welcome": True})
    bring_to_rest()
    assert [mail.to for mail in mailoutbox] == [["customer7@example.org"]]


def test_a_line_of_nul_and_of_nothing_is_kept_as_it_was():
    run = imported(f"{HEADER}\n{line(1)}\nA\0da,ada@example.org,,,,,\n".encode())
    ((number, content, _),) = runs.refused_of(run)
    assert (number, content[0]) == (3, "A\0da")
    assert begin(b"name,email\n").refused == 0
