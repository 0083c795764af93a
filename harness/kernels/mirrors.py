# SPDX-License-Identifier: Apache-2.0
"""Where packages come from: mirrors as the user or this machine's configuration names them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import DeclarationError, HostError

VARIABLE = "TRAPGATE_MIRROR"
_SCHEMES = ("http://", "https://", "file:")
_TARGETS = "$(CREATED_BY) $(RELEASE) $(REPO_URI) $(ORIGIN)"
_TOOL_S = 20


@dataclass(frozen=True)
class Mirror:
    """One archive's base address.

    Attributes:
        base: what pool paths are appended to, without a slash at its end.
        security: whether it is the security archive.
        proxy: the proxy that this machine's apt uses for it, empty for none.
    """

    base: str
    security: bool
    proxy: str = ""

    @property
    def name(self) -> str:
        """The address as messages show it: without a user's name and password."""
        scheme, separator, rest = self.base.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"

    def url(self, path: str) -> str:
        """Return the address of a file of the archive."""
        return f"{self.base}/{path}"


def find_mirrors(named: Sequence[str] = ()) -> tuple[Mirror, ...]:
    """Return the mirrors to try, in order.

    Args:
        named: addresses from a ``--mirror`` option. When there are none, those in the environment
            variable ``TRAPGATE_MIRROR`` count, and after that what this machine's apt uses.

    Returns:
        At least one mirror.

    Raises:
        DeclarationError: a named address is none.
        HostError: none is named, and apt knows none either.
    """
    given = tuple(named) or tuple(os.environ.get(VARIABLE, "").replace(",", " ").split())
    mirrors = tuple(named_mirrors(given)) if given else machine_mirrors()
    if not mirrors:
        raise HostError(
            "no Debian mirror is known: none is named, and this machine's apt configuration "
            "has none",
            hint=f"give the address of a Debian mirror with --mirror or {VARIABLE}",
        )
    return mirrors


def named_mirrors(addresses: Iterable[str]) -> Iterable[Mirror]:
    """Yield the mirrors at `addresses`, each with the security archive beside it.

    Mirrors by convention have the security archive at ``debian-security`` where the main one is
    at ``debian``; an address that already is the security archive's stands for that only.
    """
    for address in addresses:
        base = address.rstrip("/")
        if not base.startswith(_SCHEMES):
            raise DeclarationError(
                f"mirror {address!r} is no address: expected http://, https:// or file://"
            )
        if base.endswith("-security"):
            yield Mirror(base, security=True)
            continue
        yield Mirror(base, security=False)
        yield Mirror(base + "-security" if base.endswith("/debian") else base, security=True)


def machine_mirrors() -> tuple[Mirror, ...]:
    """Return the Debian mirrors of this machine's apt, only reading its configuration."""
    if not shutil.which("apt-get"):
        return ()
    command = ("apt-get", "indextargets", "--format", _TARGETS)
    proxies = apt_proxies(_output("apt-config", "dump"))
    known = parse_targets(_output(*command), proxies)
    if known or not _is_debian():
        return known
    # Before its first update, apt lists what it is configured for only when told not to look.
    return parse_targets(_output(*command, "--no-release-info"), proxies)


def parse_targets(targets: str, proxies: dict[str, str]) -> tuple[Mirror, ...]:
    """Read mirrors from what apt lists.

    Args:
        targets: lines of creator, release, base address and origin; an origin that apt has not
            fetched yet is missing or empty. Other distributions' archives are left out.
        proxies: by scheme ("http"), the proxy that apt uses.
    """
    mirrors: dict[Mirror, None] = {}
    for line in targets.splitlines():
        creator, release, base, origin = (*line.split(" ", 3), "", "", "", "")[:4]
        if creator != "Packages" or not base.startswith(_SCHEMES):
            continue
        if not origin or origin.startswith(("Debian", "$(")):
            proxy = proxies.get(base.partition(":")[0], "")
            mirrors[Mirror(base.rstrip("/"), release.endswith("-security"), proxy)] = None
    return tuple(mirrors)


def apt_proxies(dump: str) -> dict[str, str]:
    """Read the proxies by scheme from what ``apt-config dump`` prints."""
    proxies: dict[str, str] = {}
    for line in dump.splitlines():
        key, _, value = line.partition(" ")
        match key.split("::"):
            case ["Acquire", scheme, "Proxy"]:
                proxies[scheme.lower()] = value.rstrip(";").strip('"')
    return {scheme: proxy for scheme, proxy in proxies.items() if proxy not in ("", "DIRECT")}


def _is_debian() -> bool:
    try:
        return platform.freedesktop_os_release().get("ID") == "debian"
    except OSError:
        return False


def _output(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_TOOL_S, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""  # a machine whose apt is broken has no mirrors, which the caller says
