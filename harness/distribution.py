# SPDX-License-Identifier: Apache-2.0
"""Which distribution this is, and how its package manager is called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One family of distributions, as its package manager sees it.

    Attributes:
        manager: the package manager's command.
        ids: what `ID` or `ID_LIKE` of os-release(5) says there.
        install: the command before the packages' names; it asks no questions.
        unattended: options that a run without a reader adds to it.
        refresh: the command that fetches the package lists, empty where installing does.
    """

    manager: str
    ids: frozenset[str]
    install: tuple[str, ...]
    unattended: tuple[str, ...] = ()
    refresh: tuple[str, ...] = ()


APT = Family(
    manager="apt-get",
    ids=frozenset({"debian", "ubuntu"}),
    install=("apt-get", "install", "-y"),
    unattended=("--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"),
    refresh=("apt-get", "update"),
)
DNF = Family(
    manager="dnf",
    ids=frozenset({"fedora", "rhel"}),
    install=("dnf", "install", "-y"),
)
PACMAN = Family(
    manager="pacman",
    ids=frozenset({"arch"}),
    install=("pacman", "-S", "--needed", "--noconfirm"),
)
ZYPPER = Family(
    manager="zypper",
    ids=frozenset({"opensuse", "suse"}),
    install=("zypper", "--non-interactive", "install"),
)
APK = Family(
    manager="apk",
    ids=frozenset({"alpine"}),
    install=("apk", "add"),
    refresh=("apk", "update"),
)

FAMILIES = (APT, DNF, PACMAN, ZYPPER, APK)


def find_family() -> Family | None:
    """Return the family of the distribution that this is, or None when it is none of `FAMILIES`.

    Source: os-release(5); `ID_LIKE` lists what a derivative descends from, nearest first.
    """
    import platform  # noqa: PLC0415 - only advice needs it, and every command loads the table

    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return None
    ids = (release["ID"], *release.get("ID_LIKE", "").split())
    return next((family for name in ids for family in FAMILIES if name in family.ids), None)
