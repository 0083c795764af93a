# SPDX-License-Identifier: Apache-2.0
"""The command line: one module a command, and one place where errors become exit statuses."""

from __future__ import annotations

import logging
import sys

from harness.cli import cache, call, doctor, kernels, qemu
from harness.cli.app import app
from harness.cli.exec import execute
from harness.errors import TrapgateError

__all__ = ["cache", "call", "doctor", "execute", "kernels", "main", "qemu"]


def main() -> None:
    """Run the command line and exit: 0 done, 1 the guest is at fault, 2 anything else is."""
    # Control-C may hit a conversation with QEMU's monitor, whose tasks asyncio then complains of.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        app(prog_name="trapgate")
    except TrapgateError as error:
        print(f"trapgate: {error}", file=sys.stderr)
        sys.exit(error.kind.value.exit_status)
