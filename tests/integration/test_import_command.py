"""`manage.py import_customers`: what it says, what it leaves, and what becomes of it when it is killed."""

import json
import os
import random
import signal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from eventstore.models import ImportRun, StoredEvent
from ordering.models import CustomerProfile
from tests.integration.importing import HEADER, file_of, line, registered
from tests.integration.processes import Program, eventually

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "customers.csv"


def run(*arguments):
    """What it said, on both ways, and with which error it ended."""
    told, complained, error = StringIO(), StringIO(), ""
    try:
        call_command("import_customers", *map(str, arguments), stdout=told, stderr=complained)
    except CommandError as refused:
        error = str(refused)
    return told.getvalue().splitlines(), complained.getvalue().splitlines(), error


def test_it_says_what_it_imported_and_the_second_time_what_it_skipped(file):
    file.write_bytes(file_of(50))
    assert run(file) == (["imported: 50", "skipped, as imported before: 0", "refused: 0"], [], "")
    assert run(file) == (["imported: 0", "skipped, as imported before: 50", "refused: 0"], [], "")


def test_refused_lines_are_in_a_file_that_is_corrected_and_fed_again(file, tmp_path):
    file.write_bytes(file_of(50, bad={3}).replace(b",", b";"))
    errors = tmp_path / "customers.errors.csv"
    told, complained, error = run(file)
    assert told[-1] == "refused: 1"
    assert complained == ["line 5, email: Enter a valid email address."]
    assert error == f"Refused lines are in {errors}: correct them there, and import that file."
    header, refused = errors.read_text("utf-8-sig").splitlines()
    assert header == f"line,errors,{HEADER}".replace(",", ";")
    assert refused.startswith("5;email: Enter a valid email address.;")
    errors.write_text(errors.read_text("utf-8-sig").replace("nowhere", "new@example.org"), "utf-8")
    assert run(errors)[0][0] == "imported: 1"
    assert len(registered()) == 50


def test_json_for_programs(file):
    file.write_bytes(file_of(5, bad={3}))
    told, complained, error = run(file, "--json")
    assert json.loads("".join(told)) == {"imported": 4, "skipped": 0, "refused": 1}
    assert complained == []
    assert error


def test_a_dry_run_writes_nothing_but_the_file_of_refused_lines(file, tmp_path):
    file.write_bytes(file_of(5, bad={3}))
    told, _, error = run(file, "--dry-run", "--errors", tmp_path / "bad.csv")
    assert told == ["would be imported: 4", "skipped, as imported before: 0", "refused: 1"]
    assert error.startswith(f"Refused lines are in {tmp_path / 'bad.csv'}")
    assert not StoredEvent.objects.exists()


def test_how_a_file_is_written_is_told_by_options(file, tmp_path):
    text = f"Kunde~E-Mail\n{'Zoë'}~zoe@example.org\n"
    file.write_bytes(text.encode("windows-1252"))
    options = ("--encoding", "windows-1252", "--delimiter", "~", "--column", "name=Kunde", "--column", "email=E-Mail")
    assert run(file, *options)[0][0] == "imported: 1"
    lines = tmp_path / "customers.jsonl"
    lines.write_text('{"name": "Ada", "email": "ada@example.org"}\n')
    assert run(lines)[0][0] == "imported: 1"
    assert sorted(CustomerProfile.objects.values_list("name", flat=True)) == ["Ada", "Zoë"]


def test_a_file_that_can_not_be_read_is_an_error_in_words(file):
    assert run(file)[2] == f"{file} can't be read: No such file or directory."
    file.write_text("mail\n")
    assert run(file)[2].startswith(f"{file}: There is no column 'mail'")


def test_who_stops_it_is_told_how_it_goes_on(file):
    file.write_bytes(file_of(20_000))
    importing = Program("manage.py", "import_customers", str(file))
    eventually(ImportRun.objects.filter(carried_out__gt=0).exists)
    os.kill(importing.process.pid, signal.SIGINT)
    assert importing.process.wait(90) == 130
    assert importing.output.strip() == "Stopped. Run it again, and it goes on where it was."


def killed_and_run_again(file, kills, seed):
    """Import a file in processes of which so many are killed, each at some moment; the last one ends."""
    chance, size = random.Random(seed), file.stat().st_size
    for number in range(kills):
        importing = Program("manage.py", "import_customers", str(file))
        # Each dies within its share of the file, some of them before they have done anything.
        moment = size * (number + chance.random()) / (kills + 1)
        die_at(importing, moment, file)
    return run(file)


def die_at(importing, moment, file):
    """Kill it when so many bytes of the file are imported, if it hasn't ended by then."""
    eventually(lambda: importing.process.poll() is not None or read(file) >= moment, 120, pause=0.002)
    importing.kill()


def read(file):
    return ImportRun.objects.filter(name=file.name).values_list("read", flat=True).first() or 0


def is_whole_after(kills, lines, bad, file, seed):
    """The story of a file that is imported by processes which are killed, and of what was wrong with it."""
    chance = random.Random(seed)
    wrong = set(chance.sample(range(lines), bad))
    file.write_bytes(file_of(lines, bad=wrong))
    good = sorted(f"customer{number}@example.org" for number in range(lines) if number not in wrong)

    told, _, _ = killed_and_run_again(file, kills, seed)
    assert told[-1] == f"refused: {bad:,}"
    assert sorted(registered()) == good
    assert CustomerProfile.objects.count() == len(good)

    errors = file.with_suffix(".errors.csv")
    _, *refused = errors.read_text("utf-8-sig").splitlines()
    assert [int(each.partition(",")[0]) for each in refused] == sorted(number + 2 for number in wrong)

    corrected = [HEADER, *(line(number) for number in sorted(wrong))]
    errors.write_text("\n".join(corrected))
    assert run(errors)[0] == [f"imported: {bad:,}", "skipped, as imported before: 0", "refused: 0"]
    assert sorted(registered()) == sorted(f"customer{number}@example.org" for number in range(lines))
    assert CustomerProfile.objects.count() == lines


@pytest.mark.timeout(600)
def test_killed_five_times_it_registers_each_customer_once(file):
    is_whole_after(kills=5, lines=5_000, bad=50, file=file, seed=1)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_fifty_times_it_registers_each_of_many_customers_once(file):
    is_whole_after(kills=50, lines=100_000, bad=1_000, file=file, seed=2)
