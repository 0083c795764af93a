# SPDX-License-Identifier: Apache-2.0
"""Which accelerator: KVM has to prove itself by booting, and the verdict is remembered.

That /dev/kvm is there and opens proves nothing: on nested hosts guests spin, or QEMU aborts.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DeclarationError, TrapgateError
from harness.places import state_dir
from harness.tools import require_tool, stamp_of
from harness.whole import write_whole

ACCELERATORS = ("auto", "tcg", "kvm")
_DEVICE = Path("/dev/kvm")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Accelerator:
    """A choice, with its reason.

    Attributes:
        name: "tcg" or "kvm".
        reason: why, in half a sentence.
    """

    name: str
    reason: str


def choose_accelerator(wanted: str, cpu: str, proof: Callable[[], None]) -> Accelerator:
    """Decide which accelerator to use.

    Args:
        wanted: "auto", "tcg" or "kvm".
        cpu: the model that the guest is to have; part of what a verdict holds for.
        proof: boots something with KVM within a few seconds, or raises a `TrapgateError`.

    Raises:
        DeclarationError: there is no such accelerator.
    """
    if wanted not in ACCELERATORS:
        raise DeclarationError(
            f"unknown accelerator {wanted!r}: expected {', '.join(ACCELERATORS)}"
        )
    if wanted != "auto":
        return Accelerator(wanted, "asked for")
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return Accelerator("tcg", f"{_DEVICE} is missing or not accessible")
    trouble = _remembered(_verdict_path(cpu), proof)
    if trouble:
        return Accelerator("tcg", f"kvm does not boot a kernel here: {trouble}")
    return Accelerator("kvm", "it has booted a kernel here")


def _remembered(path: Path, proof: Callable[[], None]) -> str:
    """Return what is wrong with KVM, empty for nothing, from an earlier proof or a new one."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["trouble"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    trouble = ""
    try:
        proof()
    except TrapgateError as error:
        trouble = error.message
    with contextlib.suppress(OSError):
        _remember(path, trouble)
    return trouble


def _remember(path: Path, trouble: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({"trouble": trouble}))


def _verdict_path(cpu: str) -> Path:
    """A verdict holds for this boot of this host, this QEMU and this processor model."""
    qemu = stamp_of(require_tool("qemu-system-x86_64"))
    boot = _BOOT_ID.read_bytes() if _BOOT_ID.is_file() else b""
    key = hashlib.sha256(repr((boot, qemu, cpu)).encode()).hexdigest()
    return state_dir() / "kvm" / f"{key[:16]}.json"
