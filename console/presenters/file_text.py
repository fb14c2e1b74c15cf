"""A file of a device as lines of text, all or those that contain a word."""

from __future__ import annotations

from dataclasses import dataclass

MOST_LINES = 2_000  # a browser draws these at once
LONGEST_LINE = 2_000


@dataclass(frozen=True)
class FileText:
    """The lines to show, with their numbers."""

    query: str
    lines: list[tuple[int, str]]
    count: int  # lines that match
    total: int

    @property
    def is_cut(self) -> bool:
        """Whether more lines match than are shown."""
        return self.count > len(self.lines)


def present_file(content: bytes, query: str) -> FileText:
    """Return the lines that contain the query, in any case; bad bytes become marks."""
    # Not splitlines: it also ends lines at signs that logs contain inside of a line.
    lines = content.decode(errors="replace").replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    wanted = query.casefold()
    found = [
        (number, line)
        for number, line in enumerate(lines, start=1)
        if wanted in line.casefold()
    ]
    shown = [(number, line[:LONGEST_LINE]) for number, line in found[:MOST_LINES]]
    return FileText(query, shown, len(found), len(lines))
