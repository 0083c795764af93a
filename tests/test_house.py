# SPDX-License-Identifier: Apache-2.0
"""The house rules that no linter knows: which way imports go, and what no file may name."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.entry import ENTRY_PATHS, FUNCTIONS

HERE = Path(__file__).resolve().parents[1]
HIDDEN_BUT_OURS = {".ci", ".github"}
NOT_OURS = {"__pycache__"}
MADE = {HERE / "build", HERE / "dist"}

# Whatever stands in an earlier row may be imported; facts may import one another.
FACTS = {
    *("errors", "deadline", "version", "release", "arch", "places", "distribution"),
    *("suggest", "entry", "landscape", "wire", "cpu", "syscalls", "pointers", "toml", "whole"),
    *("wording", "scratch"),
}
LAYERS = (
    FACTS,
    {"tools", "picture"},
    {"kernels"},
    {"build"},
    {"machine"},
    {"agent"},
    {"evidence"},
    {"script"},
    {"target"},
    {"record", "claims", "cost", "repro"},
    {"matrix"},
    {"doctor"},
    {"plugin", "cli"},
)
DOORS = {"plugin", "cli"}

SOURCES = {".py", ".c", ".h", ".S", ".toml"}
SPDX = "SPDX-License-Identifier: Apache-2.0"
PERSONAL_PATH = re.compile(r"(?<![\w.~$}])/(?:home|Users|root|work)/[\w.]")
PACKAGE_HOST = re.compile(
    r"\b(?:deb|ftp|security|snapshot|archive|mirrors?|cdn\w*)(?:\.\w+)*\.(?:debian|ubuntu)\.\w+"
    r"|\bpypi\.org|\bpythonhosted\.org|\bregistry\.npmjs\."
)


def files() -> Iterator[Path]:
    for folder, folders, names in os.walk(HERE):
        folders[:] = sorted(name for name in folders if is_ours(Path(folder, name)))
        yield from (Path(folder, name) for name in sorted(names) if name != ".git")


def is_ours(folder: Path) -> bool:
    hidden = folder.name.startswith(".") and folder.name not in HIDDEN_BUT_OURS
    made = folder in MADE or folder.name in NOT_OURS or folder.name.endswith(".egg-info")
    return not (hidden or made or (folder / "pyvenv.cfg").exists())


def name_of(path: Path) -> str:
    return str(path.relative_to(HERE))


def package_of(module: Path) -> str:
    return module.relative_to(HERE / "harness").with_suffix("").parts[0]


def layer_of(package: str) -> int:
    return next((at for at, layer in enumerate(LAYERS) if package in layer), -1)


def imports_of(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "harness":
            yield from (f"harness.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def may_import(package: str, wanted: str) -> bool:
    own, other = layer_of(package), layer_of(wanted)
    return package == wanted or other < own or {package, wanted} <= FACTS


MODULES = sorted((HERE / "harness").rglob("*.py"))
SUBMODULES = [module for module in MODULES if module != HERE / "harness" / "__init__.py"]


@pytest.mark.parametrize("module", SUBMODULES, ids=name_of)
def test_every_module_has_a_layer(module: Path) -> None:
    assert layer_of(package_of(module)) >= 0, f"give {package_of(module)} a place in LAYERS"


@pytest.mark.parametrize("module", SUBMODULES, ids=name_of)
def test_imports_only_go_up(module: Path) -> None:
    wanted = [name.split(".")[1] for name in imports_of(module) if name.startswith("harness.")]
    assert [name for name in wanted if not may_import(package_of(module), name)] == []


@pytest.mark.parametrize("module", SUBMODULES, ids=name_of)
def test_only_doors_know_pytest_or_exit(module: Path) -> None:
    if package_of(module) in DOORS:
        return
    text = module.read_text(encoding="utf-8")
    roots = {name.split(".")[0] for name in imports_of(module)}
    assert not roots & {"pytest", "_pytest", "typer"}
    assert not re.search(r"\b(?:sys\.exit|os\._exit|SystemExit)\b", text)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_are_absolute(module: Path) -> None:
    assert [name for name in imports_of(module) if name.startswith(".")] == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))


def test_every_source_file_names_its_licence() -> None:
    sources = [path for path in files() if path.suffix in SOURCES]
    heads = {path: path.read_text(encoding="utf-8").splitlines()[:1] for path in sources}
    assert [name_of(path) for path, head in heads.items() if SPDX not in "".join(head)] == []


@pytest.mark.parametrize("pattern", [PERSONAL_PATH, PACKAGE_HOST], ids=["path", "host"])
def test_no_file_names_a_place_of_somebody_else(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name_of(path)}: {match.group()}"
        for path in files()
        for match in pattern.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (PERSONAL_PATH, "see {}home{}somebody/notes"),
        (PERSONAL_PATH, "open('{}root{}x')"),
        (PACKAGE_HOST, "http:{0}{0}deb.{1}.org{0}"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], text: str) -> None:
    second = "/" if pattern is PERSONAL_PATH else "debian"
    assert pattern.search(text.format("/", second))


SCENARIOS = sorted((HERE / "scenarios").glob("test_*.py"))


def test_every_probe_is_asked_by_a_scenario() -> None:
    probes = {path.stem for path in (HERE / "guest" / "probes").glob("*.[cS]")}
    askers = [
        *SCENARIOS,
        *(HERE / "harness").glob("agent/*.py"),
        *(HERE / "harness").glob("cost/*.py"),
    ]
    asked = {text for path in askers for text in texts_in(path)}
    assert probes
    assert probes - asked == set()


def test_every_entry_path_has_its_file_and_every_file_its_entry_path() -> None:
    named = {*ENTRY_PATHS, *(path.name for path in FUNCTIONS)}
    assert {path.stem for path in (HERE / "guest" / "entry").glob("*.S")} == named


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
def test_a_scenario_file_names_its_source(scenario: Path) -> None:
    said = ast.get_docstring(ast.parse(scenario.read_text(encoding="utf-8"))) or ""
    assert "\nSource: " in said


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
def test_a_scenario_neither_waits_nor_searches_nor_starts_anything(scenario: Path) -> None:
    assert not {"re", "subprocess", "time"} & set(imports_of(scenario))
    assert "sleep" not in scenario.read_text(encoding="utf-8")


def texts_in(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
