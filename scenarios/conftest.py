# SPDX-License-Identifier: Apache-2.0
"""What comes before all scenarios."""

from harness.places import keep_bytecode

keep_bytecode()
