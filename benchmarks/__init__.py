# SPDX-License-Identifier: Apache-2.0
"""What the harness costs, measured: one figure, one module. Run with `tox run -e bench`."""
