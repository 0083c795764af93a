# SPDX-License-Identifier: Apache-2.0
"""Have QEMU record a machine that does nothing, and play it to a debugger."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from harness.doctor.command import run
from harness.doctor.finding import Finding, Standing
from harness.machine.arguments import COUNTING

_NAME = "recordings"
_PATIENCE_S = 20
_BARE = ("-nodefaults", "-machine", "pc", "-m", "16M", "-accel", "tcg", "-display", "none", "-S")
_COMMANDS = ("qmp_capabilities", "quit")
_NOTHING = "".join(json.dumps({"execute": command}) + "\n" for command in _COMMANDS)
_REVERSE = "ReverseStep+"
"""What QEMU's gdb stub says while it plays. Source: gdbstub.c handle_query_supported (7.2)."""
_REMEDY = "`trapgate record` needs it; another build of QEMU has it"


def examine_recording(qemu: Path) -> Finding:
    """See whether QEMU records and plays, and whether a debugger may go backwards meanwhile.

    Args:
        qemu: its executable.
    """
    with tempfile.TemporaryDirectory(prefix="trapgate-doctor-") as folder:
        counting = f"{COUNTING},rrfile={folder}/events,rr="
        recorded = run(
            [qemu, *_BARE, "-icount", f"{counting}record", "-qmp", "stdio"],
            timeout_s=_PATIENCE_S,
            stdin=_NOTHING,
        )
        if recorded.status:
            trouble = recorded.last_lines(1) or f"QEMU ended with status {recorded.status}"
            return Finding(_NAME, Standing.ABSENT, trouble, remedy=_REMEDY)
        played = run(
            [qemu, *_BARE, "-icount", f"{counting}replay", "-gdb", "stdio"],
            timeout_s=_PATIENCE_S,
            stdin=_packet("qSupported") + _packet("k"),
        )
    if played.status or "PacketSize" not in played.output:
        trouble = played.last_lines(1) or f"QEMU ended with status {played.status}"
        return Finding(_NAME, Standing.ABSENT, trouble, remedy=_REMEDY)
    offers = "offers" if _REVERSE in played.output else "does not offer"
    said = f"QEMU records and plays runs; it {offers} gdb reverse stepping in them"
    return Finding(_NAME, Standing.OK, said)


def _packet(command: str) -> str:
    """Return a command to a gdb stub, as it travels."""
    return f"${command}#{sum(command.encode()) & 0xFF:02x}"
