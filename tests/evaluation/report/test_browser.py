"""The page in a browser: quiet, by mouse and by keyboard, on a phone, in both colour schemes, for screen readers."""

from pathlib import Path

import pytest

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted, Then
from art_domainrand.evaluation.report.page import write_report

from support.browser import chromium
from support.evaluation import made_up
from support.hostile import NASTY, hostile


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """The addresses of some pages, by name."""
    small = [Clean(), *(Attacked("pgd", eps / 255) for eps in (1, 2)), Then(Corrupted("fog", 3), Attacked("pgd", 0.1))]
    pages = {
        "plain": made_up(),
        "hostile": hostile(),
        "small": made_up(conditions=small, n=20, classes=4),
        "small and hostile": hostile(NASTY[:3]),
    }
    folder = tmp_path_factory.mktemp("pages")
    return {name: write_report(page, folder / name)[0].as_uri() for name, page in pages.items()}


@pytest.fixture
def page_at(browser):
    """Opens a page, and holds it to making no noise and asking for nothing outside itself."""
    contexts, noise = [], []

    def opened(address, *, width=1280, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: outside(request.url, address, noise))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert noise == []


def outside(url, address, noise):
    """Take note of a request for anything but the page and what is written in it."""
    if url.partition("#")[0] != address and not url.startswith("data:"):
        noise.append(url)


def column(page, place):
    return page.locator("table.sortable tbody tr").evaluate_all(
        "(rows, place) => rows.map(row => row.cells[place].dataset.value ?? row.cells[place].textContent.trim())", place
    )


def test_the_table_sorts_by_click_and_back(page_at, addresses):
    page = page_at(addresses["plain"])
    before = column(page, 1)
    head = page.locator("table.sortable thead th").nth(1)
    assert head.get_attribute("aria-sort") == "none"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 1) == sorted(before, key=float) != before
    assert page.get_by_role("status").text_content() == "Table sorted by plain, ascending"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 1) == sorted(before, key=float, reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert column(page, 1) == before


def test_the_table_sorts_by_keyboard(page_at, addresses):
    page = page_at(addresses["plain"])
    before = column(page, 0)
    button = page.get_by_role("button", name="Condition")
    for _ in range(30):
        page.keyboard.press("Tab")
        if button.evaluate("button => button === document.activeElement"):
            break
    assert button.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    after = column(page, 0)
    assert sorted(after) == sorted(before)
    assert after != before
    assert after.index("pgd linf 8/255") > after.index("pgd linf 2/255") > after.index("gaussian_noise 5")


def test_the_first_tab_skips_to_the_results(page_at, addresses):
    page = page_at(addresses["plain"])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url.endswith("#main"))  # or a TimeoutError; the browser tells of it a little later


def test_it_reads_without_scripts(page_at, addresses):
    page = page_at(addresses["plain"], java_script_enabled=False)
    assert page.get_by_role("button").count() == 0
    assert page.locator("table.sortable tbody tr").count() == len(made_up().conditions)


@pytest.mark.parametrize("name", ["plain", "hostile"])
@pytest.mark.parametrize("width", [320, 768])
def test_nothing_scrolls_sideways(page_at, addresses, name, width):
    page = page_at(addresses[name], width=width)
    page.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = page.locator(".scroll").evaluate_all("all => all.filter(e => e.scrollWidth > e.clientWidth).length")
    assert wide > 0  # what is too wide scrolls in its own region, by keyboard too
    assert page.locator(".scroll:not([tabindex='0'])").count() == 0


@pytest.mark.parametrize(("name", "scheme"), [("small", "light"), ("small", "dark"), ("small and hostile", "light")])
def test_axe_finds_nothing_serious(page_at, addresses, name, scheme):
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    page = page_at(addresses[name], scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    page.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")
    page.add_script_tag(path=Path(axe.__file__).parent / "axe.min.js")
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    assert {one["id"]: one["nodes"][0]["html"] for one in found["violations"]} == {}
    assert {"color-contrast", "scrollable-region-focusable", "svg-img-alt"} <= {one["id"] for one in found["passes"]}


def test_colours_follow_the_scheme(page_at, addresses):
    colours = [
        page_at(addresses["plain"], scheme=scheme).evaluate(
            "[[document.body, 'backgroundColor'], [document.querySelector('svg text'), 'fill']]"
            ".map(([element, property]) => getComputedStyle(element)[property])"
        )
        for scheme in ("light", "dark")
    ]
    assert all(light != dark for light, dark in zip(*colours, strict=True))


def test_nothing_written_by_others_runs(page_at, addresses):
    page = page_at(addresses["hostile"])
    assert page.evaluate("window.hacked") is None
    assert page.locator("script").count() == 1
    assert page.locator("style").count() == 1


def test_paper_is_white_and_shows_the_numbers(page_at, addresses):
    page = page_at(addresses["plain"], scheme="dark")
    assert page.locator("details[open]").count() == 0
    assert page.pdf().startswith(b"%PDF")
    assert page.locator("details:not([open]):not(.gallery *)").count() == 0  # opened before printing
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
