# SPDX-License-Identifier: Apache-2.0
"""What may be asked of a kernel that others live by."""

from __future__ import annotations

from typing import Protocol

from harness.agent.program import Program
from harness.arch import Abi
from harness.entry import EntryPath


class Guard(Protocol):
    """Looks at everything before it is asked; each method raises `NotForHosts` or returns."""

    def check_program(self, abi: Abi, program: Program) -> None:
        """Look at what an executor is to do."""

    def check_call(self, entry: EntryPath, number: int) -> None:
        """Look at a call that something else than an executor is to make."""

    def check_read(self, path: str) -> None:
        """Look at a file that is to be read."""

    def check_write(self, path: str) -> None:
        """Look at a file that is to be written."""

    def check_probe(self, abi: Abi, name: str) -> None:
        """Look at a probe that is to be run."""

    def check_guest(self, why: str) -> None:
        """Refuse, for that reason, unless whatever is done is done to a guest."""

    def check_room(self, why: str) -> None:
        """Refuse, for that reason, where there is neither a guest nor a room like one."""


class Anything:
    """Guards a guest in an emulator, which anything may be done to."""

    def check_program(self, abi: Abi, program: Program) -> None:
        """Let it pass."""

    def check_call(self, entry: EntryPath, number: int) -> None:
        """Let it pass."""

    def check_read(self, path: str) -> None:
        """Let it pass."""

    def check_write(self, path: str) -> None:
        """Let it pass."""

    def check_probe(self, abi: Abi, name: str) -> None:
        """Let it pass."""

    def check_guest(self, why: str) -> None:
        """Let it pass."""

    def check_room(self, why: str) -> None:
        """Let it pass."""
