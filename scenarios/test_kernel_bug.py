# SPDX-License-Identifier: Apache-2.0
"""A kernel's own bad access is no EFAULT: nothing in the exception table answers for it.

The bug is ours: msr.ko of the kernel's package, whose msr_read begins with a load from a hole.
Source: arch/x86/mm/fault.c page_fault_oops (6.1); no_context (5.10).
"""

from errno import EFAULT
from os import O_RDONLY

import pytest

from harness.agent.arguments import Buffer
from harness.errors import KernelSplat
from harness.evidence.broken import break_function
from harness.landscape import HOLE

DEVICE = b"/dev/cpu/0/msr\0"


@pytest.fixture
def device(guest, entry, kernel):
    """Give the device of a module that has a bug, opened."""
    if "msr" not in kernel.modules:
        pytest.skip("msr.ko of this kernel is in a package that was not fetched")
    abi = kernel.arch.abi
    module = break_function(kernel.modules["msr"].read_bytes(), "msr_read", HOLE, abi)
    assert guest.call(entry, "init_module", module, len(module), b"\0").value == 0
    return guest.call(entry, "open", DEVICE, O_RDONLY).value


@pytest.mark.claim(43)
@pytest.mark.pristine
@pytest.mark.entries("int80", "syscall")
def test_a_bug_in_the_kernel_is_an_oops_and_the_harness_says_so(guest, entry, device):
    assert guest.call(entry, "uname", HOLE).errno == EFAULT
    with pytest.raises(KernelSplat, match=f"page fault for address: 0*{HOLE:x}"):
        guest.call(entry, "pread64", device, Buffer(8), 8, 0, 0)
    assert "unable to handle page fault" in (guest.find_splat() or "")
