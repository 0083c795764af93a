# SPDX-License-Identifier: Apache-2.0
"""Text that a document can hold, whatever a console has said."""

from __future__ import annotations

import re

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Source: Extensible Markup Language (XML) 1.0, production 2."""


def legal(text: str) -> str:
    """Return text without the characters that XML cannot hold; a replacement shows where."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
