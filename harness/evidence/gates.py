# SPDX-License-Identifier: Apache-2.0
"""Gate descriptors: what the interrupt descriptor table says of each vector.

Source: Intel SDM volume 3, 6.11 (figure 6-2) and 6.14.1 (figure 6-8); arch/x86/include/asm/
desc_defs.h struct gate_struct (6.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.arch import X86_64, Abi
from harness.evidence.trouble import BadEvidence

VECTORS = 256
INT80, DOUBLE_FAULT, BREAKPOINT, OVERFLOW = 0x80, 8, 3, 4
_KINDS = {0x5: "task gate", 0xE: "interrupt gate", 0xF: "trap gate"}


@dataclass(frozen=True)
class Gate:
    """One gate descriptor.

    Attributes:
        vector: its place in the table.
        present: whether the vector can be raised at all.
        dpl: the least privileged level that may raise it by an instruction.
        type: the four bits of its type.
        selector: of the code segment of the handler, or of the task.
        handler: the handler's address; of no meaning in a task gate.
        stack: the number of the interrupt stack (x86_64), 0 for none.
    """

    vector: int
    present: bool
    dpl: int
    type: int
    selector: int
    handler: int
    stack: int

    @property
    def kind(self) -> str:
        """The type in words."""
        return _KINDS.get(self.type, f"type {self.type:#x}")


def gate_bytes(abi: Abi) -> int:
    """Return how long a gate descriptor of a kernel of `abi` is."""
    return 16 if abi is X86_64 else 8


def decode_gates(table: bytes, abi: Abi) -> tuple[Gate, ...]:
    """Read a whole interrupt descriptor table.

    Args:
        table: its bytes.
        abi: the kernel's own.

    Returns:
        A gate a vector, in the order of the vectors.

    Raises:
        BadEvidence: it is not as long as a table of all vectors.
    """
    size = gate_bytes(abi)
    if len(table) != VECTORS * size:
        expected = f"expected {VECTORS} gates of {size} bytes"
        raise BadEvidence(f"interrupt descriptor table: {expected}, got {len(table)} bytes")
    return tuple(_decode(n, table[n * size : (n + 1) * size]) for n in range(VECTORS))


def _decode(vector: int, raw: bytes) -> Gate:
    attributes = int.from_bytes(raw[4:6], "little")
    return Gate(
        vector=vector,
        present=bool(attributes >> 15 & 1),
        dpl=attributes >> 13 & 3,
        type=attributes >> 8 & 0xF,
        selector=int.from_bytes(raw[2:4], "little"),
        handler=int.from_bytes(raw[:2] + raw[6:12], "little"),
        stack=attributes & 7,
    )
