# SPDX-License-Identifier: Apache-2.0
"""A plan becomes QEMU arguments, and the arguments a running machine."""
