# SPDX-License-Identifier: Apache-2.0
"""The C header with the facts that guest code and harness share."""

from __future__ import annotations

from pathlib import Path

import jinja2

from harness import landscape, wire
from harness.arch import Abi
from harness.entry import default_registers, entry_paths_of

_PROTECTIONS = {
    "rw-": "PROT_READ | PROT_WRITE",
    "r--": "PROT_READ",
    "-w-": "PROT_WRITE",
    "---": "0",
}


def render_facts(template: Path, abi: Abi) -> str:
    """Return the text of ``facts.h`` for code of `abi`.

    Args:
        template: ``guest/include/facts.h.j2``.
        abi: decides registers and entry paths.
    """
    text = template.read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    return environment.from_string(text, globals={"wire": wire}).render(
        abi=abi,
        entries=entry_paths_of(abi),
        defaults=_default_slots(abi),
        regions=landscape.REGIONS,
        about=landscape.ABOUT,
        protections=_PROTECTIONS,
    )


def _default_slots(abi: Abi) -> list[int]:
    """The default registers in the order of a record: general ones, unused places, flags."""
    *general, flags = default_registers(abi).values()
    return [*general, *[0] * (wire.Register.FLAGS - len(general)), flags]
