# SPDX-License-Identifier: Apache-2.0
"""A spec becomes a `Kernel`: catalogue, mirrors, packages, images and their payloads."""
