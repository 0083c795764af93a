# SPDX-License-Identifier: Apache-2.0
"""Many kernels, one answer: what is asked of whom, by how many at once, and how it is shown."""
