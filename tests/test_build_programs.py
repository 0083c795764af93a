# SPDX-License-Identifier: Apache-2.0
"""What was built is found again for as long as nothing that it was made from has changed."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness
from harness.arch import X86_64
from harness.build.programs import SHAPING, agent_recipe, build_program
from harness.tools import require_tool

PACKAGE = Path(harness.__file__).parent
WITHOUT_FACTS = {"errors", "places", "suggest"}


def test_all_that_shapes_the_header_of_facts_is_in_the_fingerprint() -> None:
    assert set(closure("build/facts")) | {"build/compilation"} == set(SHAPING)


def test_another_compiler_builds_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(f'#!/bin/sh\nexec {require_tool("cc")} "$@"\n', encoding="utf-8")
    compiler.chmod(0o755)
    monkeypatch.setenv("TRAPGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", str(compiler))
    built = build_program(agent_recipe(X86_64), X86_64)
    assert build_program(agent_recipe(X86_64), X86_64) == built
    os.utime(compiler, (1, 1))
    assert build_program(agent_recipe(X86_64), X86_64) != built


def closure(module: str) -> Iterator[str]:
    yield module
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "harness":
            inner = (node.module or "").split(".")[1:]
            for name in ["/".join(inner)] if inner else [alias.name for alias in node.names]:
                if name not in WITHOUT_FACTS:
                    yield from closure(name)
