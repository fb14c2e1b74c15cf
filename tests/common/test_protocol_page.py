"""``docs/protocol.md`` says what the platform's own parser does."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from console.presenters.labels import DEAD_LETTER_LABELS
from iotplatform.adapters.http.parse_body import read
from iotplatform.adapters.http.poll_answer import Command, Configuration, Polled
from iotplatform.common.messages import STRUCTS, HistoryEntry, Kind, Message, parse
from iotplatform.common.topics import UPLINK

BASE = Path(__file__).resolve().parent.parent.parent
PAGE = (BASE / "docs/protocol.md").read_text()
# The place of an example (a topic, or a method and path), and the example itself.
EXAMPLES = re.findall(r"^`([^`]+)`\n\n```json\n(.*?)^```", PAGE, re.M | re.S)
NOW = datetime(2030, 3, 1, 9, tzinfo=UTC)
DOWN = {"command": Command, "desired": Configuration}


def sections() -> dict[str, str]:
    """Return the text below each heading."""
    parts = re.split(r"^## (.+)$", PAGE, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> dict[str, list[str]]:
    """Return the rows of the tables of fields, by field."""
    lines = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.M)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in lines}


def kinds_of(examples: list[tuple[str, str]]) -> set[str]:
    return {place.rpartition("/")[2] for place, _ in examples}


@pytest.mark.parametrize(("place", "example"), EXAMPLES)
def test_every_example_is_what_the_platform_reads_or_sends(
    place: str, example: str
) -> None:
    leaf = place.rpartition("/")[2]
    if place.startswith("POST "):
        assert _errors_of(place, example) == _errors_told()
    elif place.startswith("GET "):
        _has_all_fields(json.loads(example), Polled)
    elif "/down/" in place:
        _has_all_fields(json.loads(example), DOWN[leaf], but={"device"})
    else:
        data = example.encode()
        uplink = parse(place, data, retained=False, arrived_at=NOW, adapter="mqtt")
        assert (uplink.kind, uplink.left_out) == (leaf, "")
        # An unknown field would be ignored, and so prove nothing.
        known = set(uplink.message.__struct_fields__)
        assert json.loads(example).keys() <= known


def _has_all_fields(example: Any, shape: Any, *, but: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    assert example.keys() == shape.__annotations__.keys() - but
    msgspec.convert(example if not but else example | {"device": "dev-1"}, shape)


def _errors_of(place: str, example: str) -> list[dict[str, Any]]:
    kind = place.rstrip("/").rpartition("/")[2]
    return read(example.encode(), topic=f"iot/v1/d/{kind}", uid="d", at=NOW).errors


def _errors_told() -> Any:
    (told,) = re.findall(r"`errors`.*?:\n\n```json\n(.*?)^```", PAGE, re.M | re.S)
    return json.loads(told)


def test_every_kind_of_message_has_a_section_and_an_example() -> None:
    assert set(get_args(Kind)) <= sections().keys()
    assert set(get_args(Kind)) | DOWN.keys() <= kinds_of(EXAMPLES)
    for topic in UPLINK:
        assert f"`{topic.replace('+', '{id}')}`" in PAGE
    assert PAGE.count("```json") == len(EXAMPLES) + 1  # the errors that one is told


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_field_is_described_with_whether_it_is_required(kind: Kind) -> None:
    described = rows(sections()[kind].partition("An entry of")[0])
    for field in msgspec.structs.fields(STRUCTS[kind]):
        if field.name not in Message.__struct_fields__:
            assert described.pop(field.name)[1] == ("yes" if field.required else "no")
    assert described == {}


def test_what_all_messages_share_and_an_entry_of_the_history_are_described() -> None:
    assert rows(sections()["What all messages share"]).keys() == {
        *Message.__struct_fields__
    }
    text = sections()["telemetry"].partition("An entry of `history`")[2]
    assert {name: cells[1] for name, cells in rows(text).items()} == {
        name: "yes" for name in HistoryEntry.__struct_fields__
    }
    for title, shape in (("A command", Command), ("Configuration", Configuration)):
        assert rows(sections()[title]).keys() == shape.__annotations__.keys() - {
            "device"
        }


def test_every_reason_of_a_rejected_message_is_described() -> None:
    assert rows(sections()["What is refused"]).keys() == DEAD_LETTER_LABELS.keys()
