"""A conference as those see it who organize it."""

from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import expect

from ordering.models import ConferenceSummary

MAY_CHANGE = ("ordering.view_conferencesummary", "ordering.change_conferencesummary")


def open_conference(page) -> ConferenceSummary:
    conference = ConferenceSummary.objects.get(name="PyCon")
    page.goto(f"/admin/ordering/conferencesummary/{conference.pk}/change/")
    return conference


def test_a_price_is_corrected_and_a_capacity_lowered_by_who_may_do_just_that(page, log_in):
    log_in(*MAY_CHANGE)
    open_conference(page)
    seats = page.locator("[data-seat-type=standard]")
    expect(seats).to_contain_text("99.50 EUR")
    expect(seats).to_contain_text("97 of 100 left")
    seats.get_by_role("link", name="Price").click()
    expect(page.get_by_text("Orders that are placed keep the price")).to_be_visible()
    page.get_by_label("Price").fill("89.50")
    page.get_by_role("button", name="Change the price").click()
    expect(seats).to_contain_text("89.50 EUR")

    seats.get_by_role("link", name="Capacity").click()
    page.get_by_label("Capacity").fill("2")
    page.get_by_label("Reason").fill("The hall is smaller.")
    page.get_by_role("button", name="Change the capacity").click()
    expect(page.get_by_role("alert")).to_contain_text("2 are sold, 1 reserved and 0 held: 2 are not enough.")
    page.get_by_label("Capacity").fill("50")
    page.get_by_role("button", name="Change the capacity").click()
    expect(seats).to_contain_text("47 of 50 left")
    expect(page.locator("table.history")).to_contain_text("seats.capacity-changed")


def test_seats_are_held_for_speakers_in_a_pool_and_released(page, log_in):
    log_in(*MAY_CHANGE)
    open_conference(page)
    page.get_by_role("link", name="Add a pool").click()
    page.get_by_label("Code").fill("hall")
    page.get_by_label("Name").fill("Hall")
    page.get_by_label("Places").fill("40")
    page.get_by_role("button", name="Add a pool").click()
    seats, pool = page.locator("[data-seat-type=standard]"), page.locator("[data-pool=hall]")
    seats.get_by_role("link", name="Pools").click()
    page.get_by_label("Hall: 40 of 40 left").check()
    page.get_by_role("button", name="Choose pools").click()
    expect(pool).to_contain_text("37 of 40 left")

    seats.get_by_role("link", name="Hold").click()
    page.get_by_label("Seats").fill("5")
    page.get_by_label("Label").fill("Speakers")
    page.get_by_label("Reason").fill("They get in free.")
    page.get_by_role("button", name="Hold seats").click()
    expect(pool).to_contain_text("32 of 40 left")
    expect(seats).to_contain_text("32 of")
    page.locator("[data-hold]").get_by_role("link", name="Release").click()
    page.get_by_role("button", name="Release").click()
    expect(page.locator("[data-hold]")).to_have_count(0)
    expect(pool).to_contain_text("37 of 40 left")


def test_a_conference_moves_to_another_time_zone(page, log_in):
    log_in(*MAY_CHANGE)
    conference = open_conference(page)
    day = timezone.now() + timedelta(days=60)
    page.get_by_role("link", name="Move").click()
    page.get_by_label("Starts").fill(f"{day:%Y-%m-%d}T09:00")
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_label("Place").fill("Tokyo")
    page.get_by_role("button", name="Move").click()
    expect(page.get_by_text(f"{day.day} {day:%b %Y} 09:00 Asia/Tokyo")).to_be_visible()
    conference.refresh_from_db()
    assert f"{conference.starts_at:%H:%M}" == "00:00"
