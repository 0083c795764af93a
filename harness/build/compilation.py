# SPDX-License-Identifier: Apache-2.0
"""Compiling a guest program: the flags, the header of facts, and one run of the compiler."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.arch import Abi
from harness.build.facts import render_facts
from harness.errors import HostError
from harness.places import data_dir
from harness.whole import replacing


def compile_program(command: Sequence[str], abi: Abi, built: Path) -> None:
    """Build a program, of which nobody ever finds a part.

    Args:
        command: the compiler with all that it needs to know but where ``facts.h`` is.
        abi: what it is compiled for.
        built: where the result goes.

    Raises:
        HostError: the compiler refused.
        OSError: the folder of `built` cannot be written.
    """
    built.parent.mkdir(parents=True, exist_ok=True)
    with replacing(built) as made:
        facts = render_facts(data_dir("guest") / "include/facts.h.j2", abi)
        (made.parent / "facts.h").write_text(facts, encoding="utf-8")
        whole = [*command, "-I", str(made.parent), "-o", str(made)]
        done = subprocess.run(whole, capture_output=True, text=True, check=False)
        if done.returncode:
            name = built.name.rpartition("-")[0]
            said = f"{Path(command[0]).name} could not build {name}"
            raise HostError(said, evidence=done.stderr.strip())
