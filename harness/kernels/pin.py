# SPDX-License-Identifier: Apache-2.0
"""Making catalogue entries: the newest package of a series, as the TOML that names it."""

from __future__ import annotations

from harness.errors import HostError
from harness.kernels.catalogue import ROLES, Entry
from harness.kernels.fetch import list_offers
from harness.kernels.index import companions, newest_first
from harness.kernels.supply import Supply


def pinned_text(entry: Entry, supply: Supply) -> str:
    """Return an entry's TOML for the newest of its series.

    Suites of the security archive are left out: their files are gone within weeks.

    Args:
        entry: what to pin; it need not have packages yet.
        supply: which mirrors to ask.

    Raises:
        HostError: no index can be read, or no suite has such a kernel.
    """
    suites = [suite for suite in entry.suites if not suite.endswith("-security")]
    offers = list_offers(entry, suites, supply)
    newest = next(iter(newest_first(entry, offers)), None)
    if newest is None:
        raise HostError(f"no {entry.series} kernel for {entry.spec} in {', '.join(suites)}")
    packages = companions(entry, newest, offers)
    lines = [f"[{entry.spec.partition('/')[2]}]", f'flavour = "{entry.flavour}"']
    lines += ["default = true"] if entry.default else []
    for role in ROLES:
        if role in packages:
            package = packages[role]
            lines.append(f'{role}.file = "{package.file}"')
            lines.append(f"{role}.size = {package.size}")
            lines.append(f'{role}.sha256 = "{package.sha256}"')
    return "\n".join(lines) + "\n"
