"""The fenced blocks of the documentation, and why some of them are not run.

A block is run unless the line above it says ``<!-- not run: why -->``.
"""

import re
from pathlib import Path
from typing import List, NamedTuple, Optional

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)
MARKER = re.compile(r"<!-- not run: (?P<reason>[^>]+?) -->\s*\Z")


class Block(NamedTuple):
    """A block of commands or code."""

    path: Path
    line: int
    language: str
    text: str
    reason: Optional[str]  # why it is not run

    @property
    def place(self) -> str:
        return f"{self.path.name}:{self.line}"


def blocks(path: Path) -> List[Block]:
    """All blocks of a file, in order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        marker = MARKER.search(text[: match.start()])
        reason = marker["reason"] if marker else None
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(path, line, match["language"], match["text"], reason))
    return found
