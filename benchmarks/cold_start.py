# SPDX-License-Identifier: Apache-2.0
"""Cold start: our machine against the one that QEMU builds when it is given a bzImage and no more.

Both boot the same kernel with the same initramfs under TCG and end at the agent's hello.
"""

from __future__ import annotations

from functools import partial

from benchmarks.boot import Arguments, kernel_of, time_boot
from benchmarks.figure import Figure, Row, Target, interleaved
from harness.kernels import Kernel
from harness.machine.arguments import Wiring, qemu_arguments
from harness.machine.plan import MachinePlan

TARGET_RATIO = 1 / 3
PLAIN_COMMAND_LINE = "console=ttyS0 panic=-1"


def measure(times: int) -> list[Figure]:
    """Measure both default kernels, `times` boots of each kind."""
    return [
        _compare("6.1/x86_64", times, TARGET_RATIO),
        _compare("6.1/i386", times, None),
    ]


def stock_boot(kernel: Kernel) -> float:
    """Return the seconds of a boot as somebody has it who gives QEMU a bzImage and no more."""
    return time_boot(kernel, partial(default_arguments, kernel, PLAIN_COMMAND_LINE))


def default_arguments(
    kernel: Kernel, command_line: str, plan: MachinePlan, wiring: Wiring
) -> list[str]:
    """Return a command line with QEMU's default devices, the bzImage, and a second serial port."""
    append = command_line or " ".join(plan.command_line)
    return [
        *("-display", "none", "-no-reboot", "-accel", plan.accelerator, "-cpu", plan.cpu),
        *("-m", f"{plan.memory_mib}M"),
        *("-chardev", _named(wiring.console, "console"), "-serial", "chardev:console"),
        *("-chardev", _named(wiring.frames, "frames"), "-serial", "chardev:frames"),
        *("-kernel", str(kernel.image), "-initrd", str(plan.initramfs), "-append", append),
    ]


def _compare(spec: str, times: int, limit: float | None) -> Figure:
    kernel = kernel_of(spec)
    kinds: dict[str, Arguments] = {
        "ours": qemu_arguments,
        "bzImage, default devices": partial(default_arguments, kernel, PLAIN_COMMAND_LINE),
        "bzImage, default devices, our kernel parameters": partial(default_arguments, kernel, ""),
    }
    measures = [(what, partial(time_boot, kernel, made)) for what, made in kinds.items()]
    for _, boot in measures:
        boot()  # files into the page cache
    ours, plain, same = interleaved(times, measures)
    return Figure(
        f"Cold start of {spec} to the agent's hello",
        (ours, plain, same),
        (
            Target("ours / default devices", _ratio(ours, plain), limit),
            Target("ours / default devices with our kernel parameters", _ratio(ours, same), limit),
        ),
        (f"TCG, one processor; ours boots {kernel.boot_file.name}; booted in turn",),
    )


def _ratio(one: Row, other: Row) -> float:
    return one.median / other.median


def _named(backend: str, identity: str) -> str:
    kind, _, rest = backend.partition(",")
    return f"{kind},id={identity},{rest}"
