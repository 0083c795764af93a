# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: it opens, filters, drills down, and keeps nobody out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import DESK, PHONE, Browser, needs_browser, started_browser
from live import I386, X86_64
from records import OLD, WIDE, WRONG, result, write
from test_plugin import session

from harness.errors import OutcomeKind
from harness.record import read_run
from harness.record.compare import compare
from harness.record.formats import render
from harness.whole import write_whole

pytestmark = [needs_browser, pytest.mark.xdist_group("page")]

HOSTILE = "</script><script>document.title = 'run'</script><!-- <script> & <img src=x onerror=x()>"
PASS, FAIL, PANIC, SKIP = (
    *(OutcomeKind.PASS, OutcomeKind.FAIL),
    *(OutcomeKind.PANIC, OutcomeKind.SKIP),
)
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>x()</script></svg>'
SCENARIOS = """
    import pytest

    @pytest.mark.entries("int80", "syscall")
    def test_right(guest, entry):
        assert guest.call(entry, "getppid").value == 1

    @pytest.mark.entries("int80")
    def test_wrong(guest, entry):
        assert guest.call(entry, "close", -1).errno == 2

    def test_panic(guest):
        guest.write_file("/proc/sysrq-trigger", b"c")
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started_browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAPGATE_STATE", str(tmp_path / "state"))


@pytest.fixture
def page(tmp_path: Path, browser: Browser) -> Browser:
    """Open the page of a run of every outcome, compared with an earlier one."""
    kinds = [result(f"test_{kind.word}", kind) for kind in OutcomeKind]
    hostile = replace(WRONG, message=HOSTILE, got=HOSTILE)
    more = [
        result("test_wide", PASS, WIDE, entry="syscall"),
        replace(result("test_hostile", FAIL, WIDE), evidence=hostile),
    ]
    run = read_run(write(tmp_path / f"run {HOSTILE[:9]}".replace("/", ""), [*kinds, *more]))
    (run.folder / "cost-calls.svg").write_text(PICTURE)
    earlier = read_run(write(tmp_path / "earlier", [result("test_fail"), result("test_gone")]))
    write_whole(tmp_path / "page.html", render("html", run, compare(earlier, run)))
    browser.driver.set_window_size(*DESK)
    browser.open(tmp_path / "page.html")
    return browser


def test_it_opens_by_itself_and_without_complaint(page: Browser) -> None:
    assert page.texts("h2") == ["Matrix", "What changed against earlier", "Results", "Cost"]
    assert page.complaints() == []
    assert page.requests() == []


def test_the_matrix_has_words_for_what_its_colours_say(page: Browser) -> None:
    assert page.texts("#matrix thead th") == [
        "Group",
        f"{OLD.id}\n{OLD.release}",
        f"{WIDE.id}\n{WIDE.release}",
    ]
    assert page.texts("#matrix td") == ["panic 1/9", "fail 1/2"]
    label = page.find("#matrix td button")[1].get_attribute("aria-label")
    assert label == "fail 1/2: pointers on 7.2/x86_64, 1 fail, 1 pass"


def test_what_went_wrong_is_shown_first_the_worst_of_it_above(page: Browser) -> None:
    kinds = [text.split()[0] for text in page.texts("#results summary")]
    assert kinds == ["panic", "timeout", "splat", "fail", "fail", "lost", "infrastructure"]


def test_a_cell_leads_to_its_results_and_they_to_the_evidence(page: Browser) -> None:
    page.find("#matrix td button")[0].click()
    assert page.texts("#scope") == ["pointers on 6.1/i386: 9 of 11 results"]
    assert page.find("#matrix td button")[0].get_attribute("aria-pressed") == "true"
    page.find("#results summary")[0].click()
    page.wait_for("#results dt", "Reproduce")
    terms = dict(zip(page.texts("#results dt"), page.texts("#results dd"), strict=True))
    assert terms["Expected"] == WRONG.expected
    assert terms["Got"] == WRONG.got
    assert terms["Registers"] == WRONG.registers
    assert terms["Console"] == WRONG.console
    assert terms["Reproduce"] == WRONG.reproduce
    assert terms["image"] == OLD.image
    page.find("#matrix td button")[0].click()
    assert page.texts("#scope")[0].startswith("whatever went wrong")


@pytest.mark.parametrize(
    ("selector", "choice", "cells", "scope"),
    [
        ("input[value=fail]", "", ["panic 1/8", "pass 1"], "5 of 9 results"),
        ("select[name=kernel]", WIDE.id, ["fail 1/2"], "1 of 2 results"),
        ("select[name=entry]", "syscall", ["pass 1"], "0 of 1 result"),
    ],
)
def test_filters_leave_what_is_asked_for(
    selector: str, choice: str, cells: list[str], scope: str, page: Browser
) -> None:
    page.choose(selector, choice)
    assert page.texts("#matrix td button") == cells
    assert page.texts("#scope") == [f"whatever went wrong: {scope}"]
    page.find("button[type=reset]")[0].click()
    page.wait_for("#scope", "whatever went wrong: 7 of 11 results")


def test_a_question_is_looked_for(page: Browser) -> None:
    page.find("input[type=search]")[0].send_keys("HOST")
    assert page.texts("#matrix td button") == ["fail 1"]


def test_hostile_text_is_text(page: Browser) -> None:
    page.find("input[type=search]")[0].send_keys("hostile")
    page.find("#results summary")[0].click()
    page.wait_for("#results dd", HOSTILE)
    assert page.texts("#results .body p") == [HOSTILE]
    assert page.driver.title.startswith("run ")
    assert page.complaints() == []


def test_what_changed_is_shown(page: Browser) -> None:
    (changes,) = page.find("section[aria-labelledby=changes-title]")
    assert "1 gone" in changes.text
    for summary in page.find("section[aria-labelledby=changes-title] summary"):
        summary.click()
    assert "test_pointers.py::test_fail[int80]: pass -> fail on 6.1/i386" in changes.text


def test_costs_are_pictures_that_run_nothing(page: Browser) -> None:
    (picture,) = page.find("img")
    assert picture.get_attribute("alt") == "cost calls"
    assert picture.size["width"] > 0


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_nobody_is_kept_out(size: tuple[int, int], page: Browser) -> None:
    page.driver.set_window_size(*size)
    page.find("#matrix td button")[0].click()
    for summary in page.find("#results summary"):
        summary.click()
    page.wait_for("#results dt", "Reproduce")
    assert page.violations() == []
    width, room = page.driver.execute_script(
        "return [document.documentElement.scrollWidth, innerWidth]"
    )
    assert width <= room


def test_it_prints_what_is_shown_and_no_buttons(page: Browser) -> None:
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    page.driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    shown = page.find("form, #more"), page.find("#results dl")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert shown[0] == []
    assert len(shown[1]) == 7


def test_many_results_are_shown_as_they_are_looked_at(tmp_path: Path, browser: Browser) -> None:
    results = [result(f"test_{n}", FAIL if n % 9 == 0 else PASS) for n in range(20_000)]
    run = read_run(write(tmp_path / "many", results))
    write_whole(tmp_path / "many.html", render("html", run))
    browser.open(tmp_path / "many.html")
    assert browser.texts("#scope") == ["whatever went wrong: 2223 of 20000 results"]
    assert len(browser.find("#results details")) == 50
    browser.find("#more")[0].click()
    assert len(browser.find("#results details")) == 100
    assert browser.texts("#more") == ["Show more (2123 left)"]


@pytest.mark.xdist_group("page")
def test_a_real_run_is_shown(tmp_path: Path, browser: Browser) -> None:
    session(tmp_path, SCENARIOS, "--kernel", I386, "--kernel", X86_64, "--run-dir", "record")
    run = read_run(tmp_path / "record")
    write_whole(tmp_path / "page.html", render("html", run))
    browser.open(tmp_path / "page.html")
    assert browser.texts("#matrix td button") == ["panic 1/3", "panic 1/4"]
    browser.find("#matrix td button")[0].click()
    browser.find("#results summary")[0].click()
    browser.wait_for("#results dt", "Reproduce")
    terms = dict(zip(browser.texts("#results dt"), browser.texts("#results dd"), strict=True))
    assert "sysrq triggered crash" in terms["Console"]
    assert terms["Reproduce"].startswith("trapgate replay ")
    assert terms["spec"] == I386
    assert browser.violations() == []
    assert browser.complaints() == []
