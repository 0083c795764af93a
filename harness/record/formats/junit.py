# SPDX-License-Identifier: Apache-2.0
"""JUnit's XML, of the family xunit2: a suite a configuration, a case a result."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

from harness.record.compare import Comparison
from harness.record.formats.text import legal
from harness.record.reading import Run
from harness.record.result import Configuration, Result, as_json
from harness.record.table import Counts, count

_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}
_SHOWN = ("call", "registers", "asked", "failure", "console", "log", "reproduce")


def render(run: Run, comparison: Comparison | None) -> str:
    """Return the document."""
    del comparison
    root = ET.Element("testsuites", name=run.name)
    ordered = sorted(run.results, key=lambda result: result.configuration.id)
    for _, members in itertools.groupby(ordered, key=lambda result: result.configuration.id):
        _suite(root, run, list(members))
    ET.indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{ET.tostring(root, encoding='unicode')}\n"


def _suite(root: ET.Element, run: Run, results: list[Result]) -> None:
    configuration = results[0].configuration
    counts = _elements(count(results))
    facts = {
        "name": configuration.id,
        "tests": str(len(results)),
        "time": f"{sum(result.duration_s for result in results):.3f}",
        "timestamp": run.facts.started,
    }
    facts |= {name: str(counts.get(element, 0)) for name, element in _COUNTED.items()}
    suite = ET.SubElement(root, "testsuite", facts)
    _properties(suite, configuration)
    for result in results:
        _case(suite, result)


def _elements(counts: Counts) -> dict[str, int]:
    """Return how many cases have each of the elements."""
    found: dict[str, int] = {}
    for kind, number in counts.items():
        found[kind.value.junit] = found.get(kind.value.junit, 0) + number
    return found


def _properties(suite: ET.Element, configuration: Configuration) -> None:
    properties = ET.SubElement(suite, "properties")
    for name, value in as_json(configuration).items():
        ET.SubElement(properties, "property", name=name, value=legal(value))


def _case(suite: ET.Element, result: Result) -> None:
    name = result.question.partition("::")[2]
    time = f"{result.duration_s:.6f}"
    case = ET.SubElement(suite, "testcase", classname=result.group, name=legal(name), time=time)
    element = result.kind.value.junit
    if not element:
        return
    message = legal(result.evidence.message)
    said = ET.SubElement(case, element, type=result.kind.word, message=message)
    said.text = legal(_text(result)) or None


def _text(result: Result) -> str:
    shown = ((name, getattr(result.evidence, name)) for name in _SHOWN)
    return "\n\n".join(f"{name}:\n{text}" for name, text in shown if text)
