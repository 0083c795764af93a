# SPDX-License-Identifier: Apache-2.0
"""What textbooks say, and which kernels agree: claims, verdicts from results, the table of both."""

from harness.claims.catalogue import Claim, read_claims
from harness.claims.verdicts import Result, Verdict, judge

__all__ = ["Claim", "Result", "Verdict", "judge", "read_claims"]
