# SPDX-License-Identifier: Apache-2.0
"""Asking by hand, and showing it to somebody else: sessions, bundles, debuggers, recordings."""
