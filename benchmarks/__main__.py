# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks`: measure, print Markdown, and write it down where asked to."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import (
    calls,
    clones,
    cold_start,
    command,
    memory,
    record,
    selftests,
    soak,
    suite,
    virtme,
)
from benchmarks.figure import Figure
from benchmarks.host import describe_host
from benchmarks.picture import draw
from harness.errors import TrapgateError

FIGURES = {
    "cold-start": cold_start.measure,
    "calls": calls.measure,
    "clones": clones.measure,
    "command": command.measure,
    "memory": memory.measure,
    "record": record.measure,
    "selftests": selftests.measure,
    "soak": soak.measure,
    "suite": suite.measure,
    "virtme": virtme.measure,
}
"""By name, what measures so many times and returns figures; a new one is a module and a line."""

_LONG = frozenset({"selftests", "soak"})
_TIMES = 5


def main() -> int:
    """Measure what is asked for; status 1 when a target is missed, 2 when it cannot be done."""
    options = _options()
    host = describe_host()
    print(_heading(host))
    figures: list[Figure] = []
    try:
        for figure in _measured(options.figures or _usual(), options):
            print(figure.as_markdown(), flush=True)
            figures.append(figure)
    except TrapgateError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.kind.value.exit_status
    if options.output:
        write(options.output, host, figures)
    return int(any(target.met is False for figure in figures for target in figure.targets))


def write(folder: Path, host: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Write `benchmarks.md`, `.json` and a picture into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = "![the same as a picture](benchmarks.svg)\n"
    sections = [_heading(host), picture, *(figure.as_markdown() for figure in figures)]
    (folder / "benchmarks.svg").write_text(draw(figures, host), encoding="utf-8")
    (folder / "benchmarks.md").write_text("\n".join(sections), encoding="utf-8")
    data = {"host": dict(host), "figures": [figure.as_data() for figure in figures]}
    (folder / "benchmarks.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=main.__doc__)
    parser.add_argument(
        "figures",
        nargs="*",
        metavar="FIGURE",
        help=f"{', '.join(FIGURES)}; without any, all but {', '.join(_LONG)}",
    )
    parser.add_argument("--times", type=int, default=_TIMES, help="how often each is measured")
    parser.add_argument(
        "--kernel",
        action="append",
        default=[],
        metavar="SPEC",
        help="of selftests: which; the first of an architecture is the one to compare with",
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="also write files there")
    options = parser.parse_args()
    unknown = [name for name in options.figures if name not in FIGURES]
    if unknown or options.times < 1:
        parser.error(f"no figure is called {unknown[0]!r}" if unknown else "--times: at least 1")
    return options


def _measured(names: Sequence[str], options: argparse.Namespace) -> Iterator[Figure]:
    for name in names:
        if name == "selftests":
            yield from selftests.measure(options.times, options.kernel)
        else:
            yield from FIGURES[name](options.times)


def _usual() -> list[str]:
    return [name for name in FIGURES if name not in _LONG]


def _heading(host: Mapping[str, str]) -> str:
    rows = [f"| {key} | {value} |" for key, value in host.items()]
    return "\n".join(["# Benchmarks", "", "| host | |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.exit(main())
