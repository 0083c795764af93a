# SPDX-License-Identifier: Apache-2.0
"""What carries a guest; all targets run the same agent over the same frames."""
