"""The report in a real Chromium: offline, readable wide and narrow, light and dark."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bench.results.comparison import compare
from bench.results.gate import gate
from reports.comparison.write import read_measured, write_comparison
from session.finish import render_again
from tests.helpers.results_example import (
    QUICK,
    RATED,
    Example,
    example,
    failing,
    generator_at_its_limit,
    papers_method,
)

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
EXAMPLES: dict[str, Example] = {
    "fine": example(),
    "bad": failing(generator_at_its_limit(example(), "uvicorn", "shortbody"), "daphne", "orders"),
    "mac": example(QUICK, system="Darwin", shared_host=True),
    "rated": example(RATED),
    "paper": papers_method(),
    "quick": example(QUICK),
}
COMPARED = {"compared": ("fine", "bad"), "compared_once": ("mac", "quick")}
"""Two examples each: A and B of a comparison."""
PAGES = (*EXAMPLES, *COMPARED)
WIDTHS = (360, 1280)

# The colour of each kind of text against what lies behind it, by WCAG 2's formula.
CONTRASTS = """
() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const channels = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = channels(getComputedStyle(at).backgroundColor);
      if (found[3] === 255) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const ratio = (colour, element) => {
    const one = luminance(channels(colour).slice(0, 3)), other = luminance(behind(element));
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  };
  const lowest = (selector, property) => Math.min(...[...document.querySelectorAll(selector)].map(
    element => ({element, colour: getComputedStyle(element)[property]}))
    .filter(({colour}) => colour !== 'none').map(({element, colour}) => ratio(colour, element)));
  return {
    body: ratio(getComputedStyle(document.body).color, document.body),
    text: lowest('h1, h2, h3, p, li, dt, dd, th, td, caption, summary, a, pre, code', 'color'),
    labels: lowest('svg text', 'fill'),
    marks: lowest('svg .mark:not(.open)', 'fill'),
    open_marks: lowest('svg .mark.open', 'stroke'),
    lines: lowest('svg .line, svg .interval', 'stroke'),
  };
}
"""


def chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = chromium()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium, which CI must have; install it or set CHROMIUM")
        pytest.skip("no Chromium found; install it or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("reports")
    stores = {name: made.save(root / name) for name, made in EXAMPLES.items()}
    pages = {name: render_again(store) for name, store in stores.items()}
    for name, (a, b) in COMPARED.items():
        found = compare(read_measured(stores[a]), read_measured(stores[b]))
        pages[name] = write_comparison(stores[b], found, gate(found, 0.05))
    return pages


def opened(browser: Browser, path: Path, width: int = 1280, scheme: str = "light") -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_fetched_and_nothing_complained_of(
    browser: Browser, reports: dict[str, Path], name: str
) -> None:
    page = browser.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(reports[name].as_uri(), wait_until="networkidle")
    assert [url for url in requests if not url.startswith("data:")] == [reports[name].as_uri()]
    assert complaints == []
    page.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_never_scrolls_sideways(
    browser: Browser, reports: dict[str, Path], name: str, width: int
) -> None:
    page = opened(browser, reports[name], width)
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for box in page.query_selector_all("svg[role=img]"):
        bounds = box.bounding_box()
        assert bounds is not None
        assert bounds["x"] >= 0 and bounds["x"] + bounds["width"] <= width
    page.close()


@pytest.mark.parametrize("name", ["bad", "compared"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_text_and_marks(
    browser: Browser, reports: dict[str, Path], name: str, scheme: str
) -> None:
    page = opened(browser, reports[name], scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    contrast = page.evaluate(CONTRASTS)
    assert contrast["body"] >= 7
    assert contrast["text"] >= 4.5
    assert contrast["labels"] >= 4.5
    assert min(contrast["marks"], contrast["open_marks"], contrast["lines"]) >= 3
    is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert is_dark == (scheme == "dark")
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_has_words_and_a_table(browser: Browser, reports: dict[str, Path], name: str) -> None:
    page = opened(browser, reports[name])
    figures = page.query_selector_all("figure")
    assert len(figures) >= 5
    for figure in figures:
        assert figure.query_selector("figcaption h3") is not None
        assert figure.query_selector("details table caption") is not None
        drawings = figure.query_selector_all("svg[role=img]")
        assert drawings
        for drawing in drawings:
            assert drawing.evaluate("one => one.querySelector('title').textContent.length") > 0
            assert drawing.evaluate("one => one.querySelector('desc').textContent.length") > 20
            named = drawing.evaluate(
                "one => one.getAttribute('aria-labelledby').split(' ')"
                ".every(id => one.querySelector('#' + id))"
            )
            assert named
    page.close()


@pytest.mark.parametrize("name", ["bad", *COMPARED])
def test_labels_stay_inside_their_drawing(browser: Browser, reports: dict[str, Path], name: str) -> None:
    page = opened(browser, reports[name])
    outside = page.evaluate(
        """() => [...document.querySelectorAll('svg[role=img] text')].filter(text => {
          const own = text.getBoundingClientRect();
          const frame = text.ownerSVGElement.getBoundingClientRect();
          return own.left < frame.left - 0.5 || own.right > frame.right + 0.5
            || own.bottom > frame.bottom + 0.5;
        }).map(text => text.textContent)"""
    )
    assert outside == []
    page.close()


def test_a_refusal_is_red_and_said_in_words(browser: Browser, reports: dict[str, Path]) -> None:
    page = opened(browser, reports["bad"])
    first = page.locator(".answer.refused .lead").first
    assert "No ranking on shortbody" in (first.text_content() or "")
    colour = first.evaluate("element => getComputedStyle(element).color")
    red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
    assert red > 2 * max(green, blue)
    page.close()


def test_the_verdict_is_on_the_first_screen(browser: Browser, reports: dict[str, Path]) -> None:
    for width, height in ((1280, 900), (360, 800)):
        page = opened(browser, reports["fine"], width)
        bounds = page.locator(".answer .lead").first.bounding_box()
        assert bounds is not None
        assert bounds["y"] + bounds["height"] <= height
        page.close()


def test_print_is_light_and_without_navigation(browser: Browser, reports: dict[str, Path]) -> None:
    page = opened(browser, reports["fine"], scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    page.close()


def test_unlike_pythons_and_hosts_are_on_a_comparisons_first_screen(
    browser: Browser, reports: dict[str, Path]
) -> None:
    page = opened(browser, reports["compared_once"], 360)
    bounds = page.locator(".pythons").first.bounding_box()
    assert bounds is not None and bounds["y"] < 800
    assert "Apple M4" in (page.locator("#differences").text_content() or "")
    page.close()
