# SPDX-License-Identifier: Apache-2.0
"""Look whether it is known where kernel packages come from; nothing is fetched."""

from __future__ import annotations

from urllib.parse import urlsplit

from harness.doctor.finding import Finding, Standing
from harness.errors import DeclarationError, HostError
from harness.kernels.mirrors import find_mirrors


def examine_mirror() -> Finding:
    """Ask which Debian mirrors are known; without one, only kernels that are here can boot."""
    try:
        mirrors = find_mirrors()
    except DeclarationError as error:
        return Finding("mirror", Standing.FAILED, error.message, remedy=error.hint)
    except HostError as error:
        return Finding("mirror", Standing.ABSENT, error.message, remedy=error.hint)
    # A base address may hold a password; its host does not.
    places = [urlsplit(mirror.base).hostname or mirror.base for mirror in mirrors]
    return Finding("mirror", Standing.OK, ", ".join(dict.fromkeys(places)))
