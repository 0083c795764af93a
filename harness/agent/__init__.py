# SPDX-License-Identifier: Apache-2.0
"""Frames on a byte stream, calls and their outcomes, and the guest that scenarios hold."""
