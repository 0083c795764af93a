# SPDX-License-Identifier: Apache-2.0
"""trapgate: put questions to the system-call boundary of real x86 Linux kernels."""
