# SPDX-License-Identifier: Apache-2.0
"""From a kernel's source to the kernel: from the cache if it is there, else by fetching."""

from __future__ import annotations

from harness.errors import DeclarationError
from harness.kernels.catalogue import Entry
from harness.kernels.kernel import Kernel
from harness.kernels.spec import KernelSource
from harness.kernels.store import find_cached, folder_of, kernel_in
from harness.kernels.supply import Supply

DEFAULT_SUPPLY = Supply()


def obtain(source: KernelSource, supply: Supply = DEFAULT_SUPPLY) -> Kernel:
    """Return a kernel that is ready to boot.

    Args:
        source: what `find_source` returned.
        supply: where to fetch from, and with what.

    Raises:
        DeclarationError: a user's own file is damaged or cannot be started.
        HostError: it could not be fetched, or the cache cannot be written.
    """
    if source.entry:
        return _from_catalogue(source.entry, supply)
    if source.files:
        from harness.kernels.user import prepare  # noqa: PLC0415 - it loads pyelftools

        return prepare(source.files, source.spec, supply.reporter)
    raise DeclarationError(f"kernel {source.spec} has neither a catalogue entry nor files")


def _from_catalogue(entry: Entry, supply: Supply) -> Kernel:
    if "image" not in entry.packages:
        raise DeclarationError(
            f"kernel {entry.spec} is in the catalogue without a package",
            hint=f"add what `trapgate kernels pin {entry.spec}` prints",
        )
    cached = find_cached(entry)
    if cached and (cached.modules or not supply.with_modules):
        return cached
    from harness.kernels.fetch import fetch  # noqa: PLC0415 - not for a cached kernel

    return kernel_in(folder_of(entry), fetch(entry, supply), entry.spec)
