"""When effects may act, by the hours of the day where their readers live."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from sagas.effects import send_windows
from sagas.effects.send_windows import SendWindow

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, *, fold: int = 0) -> datetime:
    """A time of Berlin; `fold` tells the second of two that have the same name."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.fixture
def acts(settings):
    """Lets mails be sent between two hours."""

    def between(text: str, pattern: str = "mail.*") -> None:
        settings.EFFECTS_WINDOWS = {pattern: text}
        settings.EFFECTS_TIME_ZONE = "Europe/Berlin"

    return between


def opens(now: datetime) -> datetime | None:
    found = send_windows.opens_at("mail.welcome", now)
    return found.astimezone(UTC) if found else None


def test_a_window_is_two_times_of_the_day():
    assert (
        send_windows.parse("08:00-21:30") == send_windows.parse(" 08:00 - 21:30 ") == SendWindow(time(8), time(21, 30))
    )


@pytest.mark.parametrize("text", ["", "08:00", "8-21", "08:00-25:00", "always", "08:00-08:00", "08:00-21:00-22:00"])
def test_anything_else_is_no_window(text):
    with pytest.raises(ValueError):  # noqa: PT011 - whichever part of it is wrong
        send_windows.parse(text)


@pytest.mark.parametrize(("hour", "holds"), [(7, False), (8, True), (20, True), (21, False), (23, False), (0, False)])
def test_it_holds_from_its_beginning_until_before_its_end(hour, holds):
    assert send_windows.parse("08:00-21:00").holds(time(hour)) is holds


@pytest.mark.parametrize(("hour", "holds"), [(21, False), (22, True), (23, True), (0, True), (5, True), (6, False)])
def test_it_may_go_over_midnight(hour, holds):
    assert send_windows.parse("22:00-06:00").holds(time(hour)) is holds


def test_without_a_window_an_effect_acts_at_any_time(acts, settings):
    settings.EFFECTS_WINDOWS = {}
    assert opens(at("2030-01-01T03:00")) is None
    acts("08:00-21:00", pattern="sms.*")
    assert opens(at("2030-01-01T03:00")) is None


def test_the_first_pattern_that_fits_counts(settings):
    settings.EFFECTS_WINDOWS = {"mail.welcome": "09:00-10:00", "mail.*": "08:00-21:00", "*": "00:00-00:01"}
    assert send_windows.window_of("mail.welcome") == SendWindow(time(9), time(10))
    assert send_windows.window_of("mail.order-status") == SendWindow(time(8), time(21))
    assert send_windows.window_of("sms.order-status") == SendWindow(time(0), time(0, 1))


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2030-01-01T07:59:59", "2030-01-01T08:00"),
        ("2030-01-01T21:00", "2030-01-02T08:00"),
        ("2030-12-31T23:59", "2031-01-01T08:00"),
    ],
)
def test_outside_of_it_an_effect_waits_until_it_opens(acts, now, then):
    acts("08:00-21:00")
    assert opens(at(now)) == at(then)
    assert opens(at(then)) is None


def test_it_opens_to_the_second(acts):
    acts("08:00:30-21:00")
    assert opens(at("2030-01-01T08:00:15")) == at("2030-01-01T08:00:30")
    assert opens(at("2030-01-01T08:00:30")) is None


def test_of_one_over_midnight_it_is_the_evening_that_is_waited_for(acts):
    acts("22:00-06:00")
    assert opens(at("2030-01-01T06:00")) == at("2030-01-01T22:00")
    assert opens(at("2030-01-01T00:30")) is None


def test_hours_are_those_of_the_place_whatever_the_clock_shows_elsewhere(acts):
    acts("08:00-21:00")
    assert opens(datetime(2030, 7, 1, 5, 59, tzinfo=UTC)) == datetime(2030, 7, 1, 6, tzinfo=UTC)
    assert opens(datetime(2030, 7, 1, 6, tzinfo=UTC)) is None


@pytest.mark.parametrize(("night", "next_day"), [("2030-03-31", "2030-04-01"), ("2030-10-27", "2030-10-28")])
def test_the_nights_on_which_clocks_are_changed_make_no_difference_in_the_morning(acts, night, next_day):
    acts("08:00-21:00")
    assert opens(at(f"{night}T01:30")) == at(f"{night}T08:00")
    assert opens(at(f"{night}T21:00")) == at(f"{next_day}T08:00")


def test_an_hour_that_is_left_out_opens_at_the_next(acts):
    acts("02:30-05:00")
    opening = opens(at("2030-03-31T01:59"))
    assert opening == at("2030-03-31T03:30")
    assert opens(opening) is None


def test_a_window_that_is_left_out_is_that_of_the_next_day(acts):
    acts("02:10-02:50")
    now = at("2030-03-31T01:59")
    while (opening := opens(now)) is not None:
        assert opening > now
        now = opening
    assert now == at("2030-04-01T02:10")


def test_an_hour_that_comes_twice_is_in_the_window_twice(acts):
    acts("02:30-05:00")
    assert opens(at("2030-10-27T02:45")) is None
    assert opens(at("2030-10-27T02:15", fold=1)) == at("2030-10-27T02:30", fold=1)
    assert opens(at("2030-10-27T02:45", fold=1)) is None
