# SPDX-License-Identifier: Apache-2.0
"""Guest code is compiled here, and packed into an initramfs."""
