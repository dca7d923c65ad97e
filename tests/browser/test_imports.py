"""A file that is imported, as whoever uploaded it sees it; and parts of pages that ask for themselves."""

from playwright.sync_api import expect

from eventstore.models import ImportRun
from tests.integration.importing import file_of, steps

MAY_IMPORT = ("eventstore.run_import", "eventstore.view_importrun")


def test_the_bar_of_an_import_moves_while_it_is_imported_and_is_gone_in_the_end(page, log_in):
    """The file is imported step by step, by nobody else, so that each can be seen."""
    log_in(*MAY_IMPORT)
    content = file_of(1_200, bad={5})
    going = steps(content)
    first = next(going)
    run = ImportRun.objects.get()
    page.goto(f"/admin/eventstore/importrun/{run.pk}/change/")
    bar = page.get_by_role("progressbar", name="Import of customers.csv")
    before = float(bar.get_attribute("value") or 0)
    assert 0 < before < 100
    assert any(step.read > first.read for step in going)
    expect(bar).not_to_have_attribute("value", f"{before:.1f}")
    assert before < float(bar.get_attribute("value") or 0) < 100
    for _ in going:
        pass
    expect(bar).to_have_count(0)
    expect(page.locator("#import")).to_contain_text("Ended")
    expect(page.locator("[data-line]")).to_contain_text("Enter a valid email address.")


def test_a_part_of_a_page_whose_answer_has_no_address_is_asked_for_no_more(page, log_in):
    log_in()
    asked: list[str] = []
    page.route("**/admin/status/", lambda route: route.fulfill(body='<div id="status">It is over.</div>'))
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    page.goto("/admin/")
    page.clock.run_for(2_500)
    expect(page.locator("#status")).to_have_text("It is over.")
    before = len(asked)
    page.clock.run_for(30_000)
    page.evaluate("fetch('/admin/jsi18n/')")
    assert [url.rpartition("/admin/")[2] for url in asked[before:]] == ["jsi18n/"]
