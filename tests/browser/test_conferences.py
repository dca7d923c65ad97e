"""A conference as those see it who organize it."""

from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import expect

from eventstore.operations.subscribers import Pause, Resume
from ordering.models import ConferenceSummary, FailedRefund, OrderSummary
from tests.integration import shop
from tests.integration.processes import eventually

VIEW = "ordering.view_conferencesummary"
MAY_CHANGE = (VIEW, "ordering.change_conferencesummary")


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
    expect(page.locator("#timeline")).to_contain_text("Standard has 50 seats instead of 100: The hall is smaller.")


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
    expect(page.get_by_text(f"{day.day} {day:%b %Y} 09:00 Asia/Tokyo", exact=True)).to_be_visible()
    conference.refresh_from_db()
    assert f"{conference.starts_at:%H:%M}" == "00:00"


def test_a_conference_is_cancelled_by_who_sees_before_and_after_what_becomes_of_its_orders(page, log_in):
    conference = shop.conference_on_sale(name="A conference in a hall that burns")
    fails, paid, unpaid = (shop.order(shop.customer(), conference) for _ in range(3))
    shop.pay(fails, reference="NOREFUND-burnt")
    shop.pay(paid)
    orders = OrderSummary.objects.filter(conference_id=conference)
    eventually(lambda: orders.filter(received=shop.PRICE.amount, status="confirmed").count() == 2)
    eventually(lambda: orders.filter(pk=unpaid, status="awaiting_payment").exists())
    log_in(VIEW, "ordering.cancel_conference", "ordering.view_failedrefund")
    page.goto(f"/admin/ordering/conferencesummary/{conference}/change/")
    assert page.locator(".acts.before .act").all_text_contents() == ["Cancel the conference"]
    page.get_by_role("link", name="Cancel the conference").click()
    expect(page.locator("dl.facts")).to_contain_text("Orders3Goes back199.00 EUR")
    page.get_by_label("Reason").fill("The hall has burnt down.")
    page.get_by_label("Its name").fill("PyCon")
    page.get_by_role("button", name="Cancel the conference").click()
    expect(page.get_by_role("alert")).to_contain_text("This conference is called A conference in a hall that burns.")
    page.get_by_label("Its name").fill("A conference in a hall that burns")

    Pause(target="conference-cancellation").carry_out(by="test", reason="")
    page.get_by_role("button", name="Cancel the conference").click()
    status = page.get_by_role("status")
    expect(status).to_contain_text("3 of 3 orders still stand")
    Resume(target="conference-cancellation").carry_out(by="test", reason="")
    eventually(lambda: orders.filter(status__in=["cancelled", "refunded"]).count() == 3)
    eventually(FailedRefund.objects.filter(order_id=fails).exists)
    page.reload()
    expect(status).to_contain_text("The conference is cancelled, and so are its orders.")
    expect(status).to_contain_text("1 refund failed")
    eventually(lambda: orders.get(pk=paid).status == "refunded")
    status.get_by_role("link", name="see to it").click()
    expect(page.get_by_role("link", name=orders.get(pk=fails).number)).to_be_visible()
