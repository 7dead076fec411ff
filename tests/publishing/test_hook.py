"""The built site, as a reader on a phone meets it."""

import html
import json
import re

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from coursework.authoring.outputs import read_outputs
from coursework.authoring.solutions import solution_lines
from coursework.authoring.source import read_cells
from coursework.modules.catalogue import load_catalogue
from coursework.publishing.building import build_site
from coursework.trouble import CourseError
from tests.publishing.browser import complaints, phone, requested
from tests.publishing.conftest import ALPHA, ANSWER, BETA, LARGE_PICTURE, edit

# Each wait ends with what it waits for.
WITHIN_S = 60


def texts(layout):
    """Return the words of each file of the site, without tags."""
    pages = (layout.root / "build" / "site").rglob("*")
    return {
        str(path): html.unescape(re.sub(r"<[^>]+>", "", path.read_text("utf-8")))
        for path in pages
        if path.suffix in (".html", ".json", ".xml")
    }


def page(layout, path):
    return (layout.root / "build" / "site" / path).read_text("utf-8")


@pytest.mark.timeout(600)  # where Chromium is installed first
def test_a_reader_clicks_the_map_a_module_and_the_search(address):
    with phone() as browser:
        wait = WebDriverWait(browser, WITHIN_S)
        browser.get(f"{address}/")
        browser.find_elements(By.CSS_SELECTOR, "svg.roadmap a")[1].click()
        wait.until(lambda b: b.current_url == f"{address}/{BETA}/")
        before = f".admonition a[href='../{ALPHA}/']"
        browser.find_element(By.CSS_SELECTOR, before).click()
        wait.until(lambda b: b.current_url == f"{address}/{ALPHA}/")
        # The theme draws into a closed shadow: the source goes, a box with a height comes.
        wait.until(
            lambda b: (
                [e.rect["height"] > 20 for e in b.find_elements(By.CSS_SELECTOR, "div.mermaid")]
                == [True]
            )
        )
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= 390
        browser.find_element(By.CSS_SELECTOR, "label[for=__search]").click()
        wait.until(
            lambda b: b.find_element(By.CSS_SELECTOR, "input.md-search__input").is_displayed()
        )
        browser.find_element(By.CSS_SELECTOR, "input.md-search__input").send_keys("First steps")
        # Another module that builds on it names it too, and may come first.
        found = f"a.md-search-result__link[href*='{ALPHA}/?']"
        wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, found))
        wait.until(lambda b: b.find_element(By.CSS_SELECTOR, found).is_displayed())
        browser.find_element(By.CSS_SELECTOR, found).click()
        wait.until(lambda b: ALPHA in b.current_url)
        asked = [url for url in requested(browser) if not url.startswith(("data:", "blob:"))]
        assert any(url.endswith("assets/mermaid.js") for url in asked)
        assert [url for url in asked if not url.startswith(f"{address}/")] == []
        assert complaints(browser) == []


@pytest.mark.timeout(600)  # where Chromium is installed first
def test_a_drawing_fits_a_phone_and_a_button_enlarges_it(address):
    with phone() as browser:
        wait = WebDriverWait(browser, WITHIN_S)
        browser.get(f"{address}/{ALPHA}/")
        wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".drawing div.mermaid"))
        drawing = browser.find_element(By.CSS_SELECTOR, ".drawing")
        picture = drawing.find_element(By.CSS_SELECTOR, "div.mermaid")
        assert 20 < picture.rect["width"] <= drawing.rect["width"] <= 390
        small = picture.rect["width"]
        drawing.find_element(By.CSS_SELECTOR, "button").click()
        wait.until(lambda b: b.find_element(By.CSS_SELECTOR, "dialog.enlarged").is_displayed())
        assert browser.find_element(By.CSS_SELECTOR, "dialog.enlarged div.mermaid") == picture
        assert picture.rect["width"] > 2 * small
        browser.find_element(By.CSS_SELECTOR, "dialog.enlarged button").click()
        wait.until(lambda _: drawing.find_elements(By.CSS_SELECTOR, "div.mermaid") == [picture])
        assert picture.rect["width"] == small


def test_no_line_of_a_solution_reaches_the_site(published):
    for slug in (ALPHA, BETA):
        taught = published.lesson(slug).read_text("utf-8")
        cells = read_cells(published.solution(slug))
        lines = [x for cell in cells for x in solution_lines(cell) if x not in taught]
        assert any(ANSWER in line for line in lines)
        for name, text in texts(published).items():
            assert [line for line in lines if line in text] == [], name


def test_a_lesson_shows_what_its_cells_printed(published):
    outputs = read_outputs(published, ALPHA)
    assert outputs is not None
    shown = [output for cell in outputs.cells for output in cell]
    printed = [text.strip().splitlines()[0] for text in shown if isinstance(text, str)]
    assert printed
    words = html.unescape(re.sub(r"<[^>]+>", "", page(published, f"{ALPHA}/index.html")))
    for line in printed:
        assert line in words


def test_a_large_picture_is_a_file_of_the_site(published):
    assert 'output-1-2.png"' in page(published, f"{ALPHA}/index.html")
    file = published.root / "build" / "site" / ALPHA / "output-1-2.png"
    assert file.read_bytes() == LARGE_PICTURE.data


def test_menu_and_map_are_grouped_by_part(published):
    text = page(published, "index.html")
    assert 'class="part"' in text
    parts = [part for part, _ in load_catalogue(published).parts()]
    menu = text.split("md-nav--primary")[1]
    assert [part in menu for part in parts] == [True] * len(parts)


def test_a_page_says_objectives_minutes_and_what_comes_before_and_after(published):
    text = page(published, f"{BETA}/index.html")
    assert "After this module you can" in text
    assert re.search(r"<strong>Time</strong> \d+ minutes", text)
    assert f'href="../{ALPHA}/"' in text
    assert re.search(r"md-footer__link--prev", text)
    assert re.search(r"md-footer__link--next", text)
    assert "Two &amp; more &lt;steps&gt;" in page(published, "index.html")


def test_the_list_of_topics_leads_to_the_sections_of_lessons(published):
    text = page(published, "topics/index.html")
    assert f'href="../{ALPHA}/#a-picture"' in text


def test_reference_names_each_word(published):
    from coursework import checks

    text = page(published, "reference/index.html")
    for word in (*checks.__all__, "submission", "image"):
        assert f"{word}</" in text or f">{word}<" in text, word


def test_a_changed_lesson_is_not_published_with_old_outputs(clone):
    edit(clone, f"course/{ALPHA}/lesson.md", "GREETING=hello", "GREETING=goodbye")
    with pytest.raises(CourseError, match="cannot be built") as error:
        build_site(clone)
    assert f"The lesson of {ALPHA} has no outputs to publish" in error.value.why
    assert f"course audit {ALPHA} --record" in error.value.why


def test_prose_is_published_with_the_outputs_that_are_there(clone):
    edit(clone, f"course/{ALPHA}/lesson.md", "Say what was seen", "These words are new")
    build_site(clone)
    text = page(clone, f"{ALPHA}/index.html")
    assert "These words are new" in text
    assert f"{ALPHA} has printed this" in text


def test_a_broken_link_fails_the_build(clone):
    index = clone.root / "site" / "index.md"
    index.write_text(index.read_text("utf-8") + "\n[nowhere](nowhere.md)\n", "utf-8")
    with pytest.raises(CourseError) as error:
        build_site(clone)
    assert "nowhere.md" in error.value.why


def test_search_knows_every_page(published):
    index = json.loads(page(published, "search/search_index.json"))
    found = {entry["location"].split("#")[0] for entry in index["docs"]}
    assert {f"{ALPHA}/", f"{ALPHA}/exercise/", "instructors/", "reference/"} <= found
