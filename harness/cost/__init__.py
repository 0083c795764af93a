# SPDX-License-Identifier: Apache-2.0
"""What each way into a kernel costs: in instructions, to the last one, or in cycles."""

from harness.cost.figures import Cost, Figures, Unit
from harness.cost.measure import measure
from harness.cost.subjects import SUBJECTS, VDSO, Subject

__all__ = ["SUBJECTS", "VDSO", "Cost", "Figures", "Subject", "Unit", "measure"]
