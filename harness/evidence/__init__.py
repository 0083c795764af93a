# SPDX-License-Identifier: Apache-2.0
"""Evidence from inside a kernel: what a stock one shows of itself to root, without a debugger.

The guest gives raw bytes (/proc/kallsyms, /proc/kcore, /dev/cpu/0/msr, tracefs), and Python reads
them here: each format has a module of pure functions, `inside` puts them together for one guest,
and `story` tells the way of one call.
"""
