# SPDX-License-Identifier: Apache-2.0
"""Bars as an SVG file, in groups, with the places of a scale behind them."""

from harness.picture.bars import BAR_LEFT, BAR_WIDTH, Bar, Group, Mark, Tick, draw

__all__ = ["BAR_LEFT", "BAR_WIDTH", "Bar", "Group", "Mark", "Tick", "draw"]
