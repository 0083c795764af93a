# SPDX-License-Identifier: Apache-2.0
"""The textbooks' claims: each is asked or says why not, and kernels' verdicts are counted right."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import CHECKOUT, I386, X86_64, trapgate

from harness.claims import Claim, Result, Verdict, judge, read_claims
from harness.claims.catalogue import Claims
from harness.claims.table import show_markdown, show_text, skeleton
from harness.claims.verdicts import Stand, read_results
from harness.cli.claims import _ask
from harness.errors import DeclarationError, OutcomeKind
from harness.kernels.catalogue import default_specs, find_entry

KNOWN = read_claims()
PAGE = CHECKOUT / "docs" / "claims.md"
SCENARIOS = sorted((CHECKOUT / "scenarios").glob("test_*.py"))

REPORT = """\
<testsuites><testsuite>
<testcase name="a"><properties>
  <property name="claim" value="2"/><property name="claim" value="3"/>
  <property name="kernel" value="6.1/i386"/><property name="outcome" value="pass"/>
</properties></testcase>
<testcase name="b"><properties>
  <property name="claim" value="2"/>
  <property name="kernel" value="6.1/i386"/><property name="outcome" value="fail"/>
</properties></testcase>
<testcase name="c"><properties>
  <property name="claim" value="15x"/>
  <property name="kernel" value="6.1/x86_64"/><property name="outcome" value="pass"/>
</properties></testcase>
<testcase name="not prepared"><properties>
  <property name="claim" value="15"/><property name="outcome" value="infrastructure"/>
</properties></testcase>
<testcase name="of another kind"/>
</testsuite></testsuites>
"""


def marked(scenario: Path) -> Iterator[int]:
    """Yield the numbers in a file's marks."""
    for node in ast.walk(ast.parse(scenario.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.claim":
            number = ast.literal_eval(node.args[0])
            assert isinstance(number, int)
            yield number


ASKED = {number for scenario in SCENARIOS for number in marked(scenario)}


@pytest.mark.parametrize("claim", KNOWN.claims, ids=lambda claim: str(claim.number))
def test_a_claim_has_a_scenario_or_a_reason(claim: Claim) -> None:
    assert claim.number in ASKED or claim.reason
    assert not (claim.unseen and claim.number in ASKED), "it is seen, after all"
    assert claim.sources
    assert set(claim.sources) <= set(KNOWN.texts)


def test_scenarios_decide_claims_that_there_are() -> None:
    assert {claim.number for claim in KNOWN.claims} >= ASKED
    assert len(KNOWN.claims) == 58


def test_the_page_is_made_from_the_claims() -> None:
    page = PAGE.read_text(encoding="utf-8")
    head = next(row for row in skeleton(page) if row[0] == "#")
    kernels = head[3:]
    assert set(default_specs()) <= set(kernels)
    assert all(find_entry(kernel) for kernel in kernels)
    said = "`trapgate claims --markdown > docs/claims.md` brings it up to date"
    assert skeleton(page) == skeleton(show_markdown(KNOWN, [], kernels)), said


def result(word: str, *, refutes: bool = False, claim: int = 1) -> Result:
    return Result(claim, I386, OutcomeKind[word.upper()], refutes=refutes)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "not asked"),
        ("skip known lost infrastructure", "not asked"),
        ("pass", "holds (1)"),
        ("pass skip pass", "holds (2)"),
        ("pass fail", "does not hold (1 of 2)"),
        ("splat panic timeout", "does not hold (3)"),
    ],
)
def test_one_answer_against_a_claim_is_enough(words: str, said: str) -> None:
    results = [*map(result, words.split()), result("fail", claim=2)]
    assert str(judge(results, 1, I386)) == said
    assert judge(results, 1, X86_64) == Verdict(Stand.NOT_ASKED)


def test_a_scenario_may_refute() -> None:
    assert str(judge([result("pass", refutes=True)], 1, I386)) == "does not hold (1)"


def test_a_report_is_read(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(REPORT)
    assert read_results(report) == [
        Result(2, I386, OutcomeKind.PASS),
        Result(3, I386, OutcomeKind.PASS),
        Result(2, I386, OutcomeKind.FAIL),
        Result(15, X86_64, OutcomeKind.PASS, refutes=True),
    ]


@pytest.mark.parametrize("text", ["no XML", None])
def test_what_is_no_report_is_said(text: str | None, tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    if text:
        report.write_text(text)
    with pytest.raises(DeclarationError, match=r"no report of `pytest --junitxml`"):
        read_results(report)


@pytest.mark.parametrize(
    "text",
    ["[texts]", "claim = 1\n[texts]", '[texts]\n[[claim]]\nnumber = 2\nsection = ""\n', "no TOML"],
)
def test_what_are_no_claims_is_said(text: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(text)
    with pytest.raises(DeclarationError):
        read_claims(path)


def test_a_table_has_a_row_a_claim_and_says_what_is_missing() -> None:
    claims = Claims({"A": "a text"}, (Claim(1, "Way", "It holds.", "A", outdated="since 9.9"),))
    assert list(show_text(claims, [result("pass")], [I386, X86_64])) == [
        f"{'Way':<66}6.1/i386   6.1/x86_64",
        f" 1  {'It holds.':<62}holds (1)  not asked",
        "    Outdated: since 9.9",
        "",
    ]
    assert "| 1 | It holds.<br>*Outdated: since 9.9* | A | holds (1) |" in show_markdown(
        claims, [result("pass")], [I386]
    )


def test_an_earlier_run_is_shown(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(REPORT)
    said = trapgate("claims", "--run", str(tmp_path / "junit.xml"))
    assert (said.returncode, said.stderr) == (0, "")
    (row,) = (line for line in said.stdout.splitlines() if line.startswith(" 2  "))
    assert row.split("  ")[-2:] == [" does not hold (1 of 2)", "not asked"]
    page = trapgate("claims", "--run", str(tmp_path / "junit.xml"), "--markdown").stdout
    assert skeleton(page) == skeleton(show_markdown(KNOWN, [], [I386, X86_64]))


def test_an_unknown_kernel_is_status_2() -> None:
    said = trapgate("claims", "--kernel", "6.1/i368")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("trapgate: no kernel is called '6.1/i368'")


@pytest.mark.xdist_group("plugin")
def test_scenarios_are_asked_and_their_answers_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    (scenarios / "test_it.py").write_text(
        textwrap.dedent("""
            import pytest

            @pytest.mark.claim(1)
            @pytest.mark.entries("int80", "kernel_vsyscall")
            def test_parent(guest, entry):
                assert guest.call(entry, "getppid").value == 1

            @pytest.mark.claim(15, refuted=True)
            @pytest.mark.entries("int80")
            def test_refuted(guest, entry):
                assert guest.call(entry, "getppid").value == 1

            @pytest.mark.claim(2)
            def test_wrong(guest):
                raise AssertionError

            def test_of_no_claim(guest):
                raise AssertionError
        """)
    )
    monkeypatch.setattr("harness.cli.claims.data_dir", lambda _: scenarios)
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    assert set(_ask([I386], 0)) == {
        Result(1, I386, OutcomeKind.PASS),
        Result(15, I386, OutcomeKind.PASS, refutes=True),
        Result(2, I386, OutcomeKind.FAIL),
    }
