# SPDX-License-Identifier: Apache-2.0
"""A spec becomes a kernel: catalogue, mirrors, packages, images, cache.

Two steps. `find_source` says what a spec means and costs next to nothing; `obtain` makes it a
`Kernel`, fetching what the cache lacks.
"""

from harness.kernels.kernel import Kernel, Provenance
from harness.kernels.obtain import obtain
from harness.kernels.spec import KernelSource, find_source, tell_apart
from harness.kernels.supply import Supply

__all__ = [
    "Kernel",
    "KernelSource",
    "Provenance",
    "Supply",
    "find_source",
    "obtain",
    "tell_apart",
]
