"""The README and docs/: their length, their links, and which blocks are snippets."""

from __future__ import annotations

import re

import pytest

from tests.documents import BASE, DOCUMENTS, blocks_of, text_of

# `bash` is a snippet that tests/stack/test_documents.py runs. What cannot run there, as
# `make demo`, is shown as something else.
LANGUAGES = {"bash", "console", "ini", "json", "mermaid", "nginx", "sql"}
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]+))?\)")


def test_the_readme_is_read_in_five_minutes() -> None:
    assert 700 <= len(text_of("README.md").split()) <= 1_000


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_says_what_it_is(document: str) -> None:
    blocks = blocks_of(document)

    assert {language for language, _ in blocks} <= LANGUAGES
    assert text_of(document).count("```") == 2 * len(blocks)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    for path, anchor in LINK.findall(text_of(document)):
        target = (BASE / document).parent / path if path else BASE / document
        assert target.exists(), path
        assert not anchor or anchor in anchors_of(target.read_text())


def anchors_of(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in kept}
