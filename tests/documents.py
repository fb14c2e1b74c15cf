"""The project's documents, and the snippets in them."""

from __future__ import annotations

import re
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(["README.md", *(f"docs/{p.name}" for p in BASE.glob("docs/*.md"))])
FENCE = re.compile(r"^ *```(.*)\n((?s:.*?))^ *```$", re.M)


def text_of(document: str) -> str:
    return (BASE / document).read_text()


def blocks_of(document: str) -> list[tuple[str, str]]:
    """Return the fenced blocks: the language and the text of each."""
    return FENCE.findall(text_of(document))


def snippets_of(document: str) -> list[str]:
    """Return the blocks that a reader may run as they stand."""
    return [text for language, text in blocks_of(document) if language == "bash"]
