# SPDX-License-Identifier: Apache-2.0
"""Each format as a reader sees it that is not ours."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from kcidb_io.schema import V5_3
from markdown_it import MarkdownIt
from records import OLD, WIDE, WRONG, result, write
from tap.parser import Parser

from harness.errors import DeclarationError, HostError, OutcomeKind
from harness.record import Run, read_run
from harness.record.compare import compare
from harness.record.formats import choose_format, kcidb, render
from harness.whole import write_output, write_whole

HOSTILE = "\x00\x1b[31m </script><!-- | # `x` ]]> \ud800 \N{SNOWMAN} * [a](b)"
KINDS = list(OutcomeKind)
NAMES = [f"test_{kind.word}" for kind in KINDS]


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAPGATE_STATE", str(tmp_path / "state"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a run with every kind of outcome on two kernels, and with hostile text in one."""
    kinds = zip(NAMES, KINDS, strict=True)
    results = [result(name, kind, who) for name, kind in kinds for who in (OLD, WIDE)]
    evidence = replace(WRONG, message=HOSTILE, failure=HOSTILE, reproduce=HOSTILE)
    hostile = replace(result("test_hostile", OutcomeKind.FAIL), evidence=evidence)
    return read_run(write(tmp_path / "run", [*results, hostile]))


def test_junit_is_what_junitparser_reads(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_whole(path, render("junit", run))
    suites = {suite.name: suite for suite in JUnitXml.fromfile(str(path))}
    assert set(suites) == {OLD.id, WIDE.id}
    old = suites[OLD.id]
    assert (old.tests, old.failures, old.errors, old.skipped) == (10, 5, 2, 2)
    assert {one.name: one.value for one in old.properties()}["image"] == OLD.image
    cases = {case.name: [type(one) for one in case.result] for case in old}
    assert cases["test_pass[int80]"] == []
    assert cases["test_fail[int80]"] == cases["test_panic[int80]"] == [Failure]
    assert cases["test_lost[int80]"] == [Error]
    assert cases["test_skip[int80]"] == cases["test_known[int80]"] == [Skipped]
    (panic,) = next(case for case in old if case.name == "test_panic[int80]").result
    assert (panic.type, panic.message) == ("panic", WRONG.message)
    assert WRONG.registers in panic.text
    assert WRONG.reproduce in panic.text


def test_ktap_is_what_a_tap_parser_reads(run: Run) -> None:
    text = render("ktap", run)
    assert text.startswith("KTAP version 1\n")
    lines = list(Parser().parse_text(text))
    assert [line.category for line in lines if line.category == "unknown"] == ["unknown"]  # "KTAP"
    assert next(line for line in lines if line.category == "plan").expected_tests == 19
    tests = [line for line in lines if line.category == "test"]
    assert [line.number for line in tests] == list(range(1, 20))
    by_name = {line.description: line for line in tests}
    of = {kind: by_name[f"{OLD.id} test_pointers.py::test_{kind.word}[int80]"] for kind in KINDS}
    assert {kind for kind, line in of.items() if line.ok} == {OutcomeKind.PASS, OutcomeKind.SKIP}
    assert of[OutcomeKind.SKIP].skip
    assert of[OutcomeKind.TIMEOUT].directive.text.startswith("TIMEOUT")
    assert of[OutcomeKind.LOST].directive.text.startswith("ERROR")
    assert "# expected: 14 EFAULT" in [line.text for line in lines if line.category == "diagnostic"]


def test_jsonl_has_a_line_a_result(run: Run) -> None:
    rows = [json.loads(line) for line in render("jsonl", run).splitlines()]
    assert len(rows) == len(run.results)
    assert {row["run"]["name"] for row in rows} == {"run"}
    assert [row["outcome"] for row in rows] == [one.kind.word for one in run.results]
    assert rows[0]["configuration"]["image"] == OLD.image


def test_kcidb_fits_its_schema_and_its_objects_are_linked(run: Run) -> None:
    document = json.loads(render("kcidb", run))
    V5_3.validate(document)
    checkouts = {one["id"] for one in document["checkouts"]}
    builds = {one["id"]: one for one in document["builds"]}
    assert {one["checkout_id"] for one in builds.values()} == checkouts
    assert {one["build_id"] for one in document["tests"]} == set(builds)
    assert sorted(one["architecture"] for one in builds.values()) == ["i386", "x86_64"]
    statuses = {one["misc"]["outcome"]: one["status"] for one in document["tests"]}
    assert statuses == {kind.word: kind.value.kcidb for kind in KINDS}
    assert {one["path"] for one in document["tests"]} >= {"trapgate.pointers.test_fail.int80"}
    assert len({one["id"] for one in document["tests"]}) == len(run.results)


def test_a_long_log_is_cut_as_kcidb_wants(run: Run) -> None:
    evidence = replace(WRONG, console="x" * 100_000)
    long = replace(run, results=[replace(run.results[0], evidence=evidence)])
    V5_3.validate(kcidb.describe(long))


def test_what_does_not_fit_the_schema_is_said() -> None:
    with pytest.raises(DeclarationError, match="does not fit KCIDB's schema"):
        kcidb.validate({"version": {"major": 5, "minor": 3}, "tests": [{"id": "no colon"}]})


@pytest.mark.parametrize(
    ("objects", "spoilt"),
    [
        ("tests", {"id": "no colon"}),
        ("tests", {"build_id": None}),
        ("tests", {"path": "two..dots"}),
        ("tests", {"status": "GOOD"}),
        ("tests", {"duration": "long"}),
        ("tests", {"log_excerpt": "x" * 16_385}),
        ("tests", {"environment": {"comment": 1}}),
        ("tests", {"unheard_of": ""}),
        ("builds", {"architecture": "\0"}),
        ("checkouts", {"valid": "yes"}),
    ],
)
def test_what_kcidb_refuses_is_refused(objects: str, spoilt: dict[str, object], run: Run) -> None:
    document = kcidb.describe(run)
    document[objects][-1] |= spoilt
    with pytest.raises(DeclarationError):
        kcidb.validate(document)
    assert not V5_3.is_valid(document)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("kcidb_io.schema", "kcidb-io, which has the schema, is not installed"),
        ("fastjsonschema", "fastjsonschema, which reads KCIDB's schema, is not installed"),
    ],
)
def test_without_the_extra_that_is_said(
    module: str, said: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(HostError, match=said):
        render("kcidb", run)


def test_markdown_is_a_table_and_nothing_in_it_is_markup(run: Run, tmp_path: Path) -> None:
    earlier = read_run(write(tmp_path / "earlier", [result("test_fail")]))
    text = render("markdown", run, compare(earlier, run))
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    heads = [tokens[n + 1].content for n, one in enumerate(tokens) if one.type == "th_open"]
    assert heads == ["", OLD.id, WIDE.id.replace("_", "\\_")]
    cells = [tokens[n + 1].content for n, one in enumerate(tokens) if one.type == "td_open"]
    assert cells[:2] == ["pointers", "**1 panic of 10**"]
    inside = [one.type for token in tokens for one in token.children or ()]
    assert not {"html_inline", "link_open", "image"} & set(inside)
    assert "html_block" not in {token.type for token in tokens}
    assert "## Against earlier" in text
    assert "test\\_fail\\[int80\\]: pass -\\> fail on 6.1/i386" in text


@pytest.mark.parametrize(
    ("name", "output", "chosen"),
    [
        ("", "a.html", "html"),
        ("", "a.xml", "junit"),
        ("ktap", "a.html", "ktap"),
        ("", "a.md", "markdown"),
    ],
)
def test_a_format_follows_from_the_files_name(name: str, output: str, chosen: str) -> None:
    assert choose_format(name, Path(output)) == chosen


@pytest.mark.parametrize(("name", "output"), [("", None), ("", Path("a.txt")), ("xml", None)])
def test_a_format_that_is_none_is_said(name: str, output: Path | None) -> None:
    with pytest.raises(DeclarationError, match="format"):
        choose_format(name, output)


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="the report cannot be written"):
        write_output(tmp_path / "missing" / "a.html", "text", "report")
    (tmp_path / "folder").mkdir()
    with pytest.raises(HostError, match="the report cannot be written"):
        write_output(tmp_path / "folder", "text", "report")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
