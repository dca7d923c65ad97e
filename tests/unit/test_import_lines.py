"""A file is read line by line: what each says, or everything that is wrong with how it is written."""

import csv
from io import BytesIO, StringIO

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from eventstore.imports.lines import JSON_LINES, KEPT, LONGEST_LINE, MOST_LINES, Fault, FileRefused, Format, Lines

COLUMNS = ("name", "email", "city")
TWO = "name,email,city\nAda,ada@example.org,London\nZoë,zoe@example.org,Köln\n"


def read(content, **written):
    data = content.encode() if isinstance(content, str) else content
    return Lines(BytesIO(data), Format(**written), columns=COLUMNS, needed=("name",))


def said(content, **written):
    return [(line.number, dict(line.values)) for line in read(content, **written)]


def faults(content, **written):
    return [(line.number, [*line.faults]) for line in read(content, **written) if line.faults]


def refusal(content, **written):
    with pytest.raises(FileRefused) as refused:
        read(content, **written)
    return str(refused.value)


EXPECTED = [
    (2, {"name": "Ada", "email": "ada@example.org", "city": "London"}),
    (3, {"name": "Zoë", "email": "zoe@example.org", "city": "Köln"}),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_encoding_of_unicode_is_told_by_the_file(encoding):
    assert said(TWO.encode(encoding)) == EXPECTED


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16-be", "latin-1"])
def test_another_encoding_is_named(encoding):
    assert said(TWO.encode(encoding), encoding=encoding) == EXPECTED


def test_in_the_wrong_encoding_each_line_says_which_cells_can_not_be_read():
    text = "There are characters in it that can't be read: is this the encoding of the file?"
    assert faults(TWO.encode("windows-1252")) == [(3, [Fault("name", text), Fault("city", text)])]


def test_an_encoding_that_does_not_exist_refuses_the_file():
    assert refusal(TWO, encoding="utf-99") == "There is no encoding utf-99."


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_told_by_the_first_line(delimiter):
    assert said(TWO.replace(",", delimiter)) == EXPECTED


def test_another_delimiter_is_named():
    assert said(TWO.replace(",", "~"), delimiter="~") == EXPECTED
    assert refusal(TWO, delimiter="--") == "A delimiter is one character."


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_lines_end_as_on_any_system(ending):
    assert said(TWO.replace("\n", ending)) == EXPECTED


def test_a_quoted_line_break_is_a_part_of_its_cell():
    text = 'name,email,city\n"Ada\nLovelace",ada@example.org,"London, ""the"" city"\nZoë,zoe@example.org,Köln\n'
    assert said(text) == [
        (2, {"name": "Ada\nLovelace", "email": "ada@example.org", "city": 'London, "the" city'}),
        (4, EXPECTED[1][1]),
    ]


def test_a_quotation_that_never_ends_takes_its_own_line_only():
    lines = ['"Ada,ada@example.org,London', *(f"Bob,bob{number}@example.org,Rome" for number in range(2 * MOST_LINES))]
    found = [*read("\n".join(["name,email,city", *lines]))]
    assert found[0].faults == [Fault("", f"A quotation mark is not closed within {MOST_LINES} lines.")]
    assert [line.number for line in found] == [*range(2, 2 * MOST_LINES + 3)]
    assert [line for line in found[1:] if line.faults] == []


def test_a_quotation_mark_within_a_cell_is_one():
    assert said('name,email,city\nthe 5" disk,a@example.org,Rome\n')[0][1]["name"] == 'the 5" disk'


def test_a_line_that_is_too_long_is_refused_and_not_kept():
    long = "x" * (3 * LONGEST_LINE)
    (found, after) = read(f"name,email,city\n{long},a@example.org,Rome\nBob,bob@example.org,Rome\n")
    assert found.faults == [Fault("", f"It is longer than {LONGEST_LINE:,} characters.")]
    assert found.content == ["x" * KEPT]
    assert (after.number, after.values["name"]) == (3, "Bob")


def test_a_nul_is_found_in_its_column():
    assert faults("name,email,city\nA\0da,ada@example.org,London\n") == [(2, [Fault("name", "There is a NUL in it.")])]
    assert faults('{"name": "A\\u0000", "inner": {"city": "\\u0000"}}\n', kind=JSON_LINES) == [
        (1, [Fault("name", "There is a NUL in it."), Fault("inner.city", "There is a NUL in it.")])
    ]


def test_a_line_has_as_many_cells_as_there_are_columns():
    found = faults("name,email,city\nAda\n\n , ,\nAda,ada@example.org,London,GB\n")
    assert found == [
        (2, [Fault("", "Of 3 columns it has 1.")]),
        (5, [Fault("", "Of 3 columns it has 4.")]),
    ]


def test_columns_are_named_by_the_first_line():
    assert refusal("") == "The first line names the columns, and this one is empty."
    assert refusal("name,name\n") == "A column is there twice."
    unknown = "There is no column 'mail': they are name, email, city. It needs a column 'name'."
    assert refusal("mail,city\n") == unknown
    assert said("Kunde,city\nAda,London\n", columns={"name": "Kunde"}) == [(2, {"name": "Ada", "city": "London"})]


def test_the_notes_of_a_file_of_refused_lines_are_left_out():
    (line,) = read("line,errors,name\n17,no address,Ada\n")
    assert (dict(line.values), line.content) == ({"name": "Ada"}, ["Ada"])
    (line,) = read('{"line": 17, "errors": [], "name": "Ada"}\n', kind=JSON_LINES)
    assert line.values == {"name": "Ada"}


def test_a_line_of_json_is_an_object():
    found = faults('{"name": "Ada"}\n\n[1]\n{"name": \n', kind=JSON_LINES)
    assert [number for number, _ in found] == [3, 4]
    assert all(fault.text.startswith("This is no object of JSON: ") for _, (fault,) in found)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd"), max_size=20)


@settings(max_examples=300, deadline=None)
@for_all(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8), delimiter=st.sampled_from(",;\t|"))
def test_whatever_is_written_as_csv_is_read_back(rows, delimiter):
    written = StringIO()
    writer = csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    found = read(written.getvalue(), delimiter=delimiter)
    assert [(*line.values.values(),) for line in found] == [row for row in rows if any(cell.strip() for cell in row)]


@settings(max_examples=300, deadline=None)
@for_all(st.binary(max_size=400), st.sampled_from(["", "utf-16-le", "windows-1252"]))
def test_no_file_ends_the_reading_of_it(content, encoding):
    head = "name,email,city\n".encode(encoding or "utf-8")
    for line in read(head + content, encoding=encoding):
        assert line.faults or set(line.values) == set(COLUMNS)
