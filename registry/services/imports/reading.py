"""Reads the bytes of a CSV or NDJSON file into one row of fields per line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from iotplatform.common.problems import BadInput

# The fields of an imported device, as in POST devices/.
FIELDS = (
    *("uid", "name", "serial", "tenant", "project", "site", "space", "product"),
    *("hardware_revision", "batch", "kind", "gateway", "adapter", "tags", "attributes"),
)
READ_ONLY = frozenset({"id", "lifecycle", "created_at", "updated_at"})
ATTRIBUTE = "attributes."  # attributes.battery_rev is a column of its own
TAGS_APART = ";"
MAX_LINE_BYTES = 1_000_000
SHOWN = 100  # characters of a wrong value in an error

Errors = list[dict[str, Any]]


class Readable(Protocol):
    """A stream of bytes: a request's body, an uploaded file."""

    def readline(self, size: int = -1, /) -> bytes: ...


@dataclass(slots=True)
class Row:
    """The fields of one line; an empty cell is left out."""

    line: int
    given: dict[str, Any] = field(default_factory=dict)
    # Attributes from columns of their own, as text.
    cells: dict[str, str] = field(default_factory=dict)
    errors: Errors = field(default_factory=list)


def row_error(line: int, field_name: str, message: str, value: Any) -> dict[str, Any]:
    """Return one error of a line, with the beginning of the wrong value."""
    if value is None:
        shown = None
    else:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        shown = text.encode("utf-8", "replace").decode()[:SHOWN]
    return {"line": line, "field": field_name, "message": message, "value": shown}


def read_ndjson(stream: Readable) -> Iterator[Row]:
    """Yield a row for each line that is not blank; each line is a JSON object."""
    for number, text in enumerate(_lines(stream), start=1):
        if not text.strip():
            continue
        row = Row(number)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            row.errors.append(row_error(number, "", f"Not JSON: {error}", text))
        else:
            if isinstance(found, dict):
                row.given = found
                row.errors += _unknown(number, found)
            else:
                message = "Each line is a JSON object."
                row.errors.append(row_error(number, "", message, text))
        yield row


def read_csv(stream: Readable) -> Iterator[Row]:
    """Yield a row for each record; the first one names the fields of the others.

    Raises BadInput if the header is wrong.
    """
    reader = csv.reader(_lines(stream), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise BadInput(errors=[row_error(1, "", f"Not CSV: {error}", None)]) from error
    _check_header(header)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = Row(reader.line_num)
            row.errors.append(row_error(row.line, "", f"Not CSV: {error}", None))
            yield row
            return  # after an unclosed quote, nothing can be separated
        if cells:
            yield _record(reader.line_num, header, cells)


def _record(line: int, header: list[str], cells: list[str]) -> Row:
    row = Row(line)
    if len(cells) != len(header):
        message = f"{len(cells)} cells, but the header has {len(header)} fields."
        row.errors.append(row_error(line, "", message, None))
        return row
    for name, cell in zip(header, cells, strict=True):
        if not cell:
            continue
        if name.startswith(ATTRIBUTE):
            row.cells[name.removeprefix(ATTRIBUTE)] = cell
        elif name == "tags":
            row.given[name] = [tag.strip() for tag in cell.split(TAGS_APART)]
        elif name == "attributes":
            try:
                row.given[name] = json.loads(cell)
            except (ValueError, RecursionError):
                row.errors.append(row_error(line, name, "A JSON object.", cell))
        else:
            row.given[name] = cell
    return row


def _check_header(header: list[str]) -> None:
    if not any(header):
        raise BadInput(
            errors=[
                row_error(1, "", "The first line must contain the field names.", None)
            ]
        )
    columns = [name for name in header if not name.startswith(ATTRIBUTE)]
    errors = _unknown(1, columns)
    twice = {name for name in header if header.count(name) > 1}
    errors += [
        row_error(1, name, "This field is named twice.", name) for name in sorted(twice)
    ]
    if errors:
        raise BadInput(errors=errors)


def _unknown(line: int, names: Iterable[str]) -> Errors:
    return [
        row_error(
            line,
            name,
            "This field cannot be set here."
            if name in READ_ONLY
            else "There is no such field.",
            name,
        )
        for name in names
        if name not in FIELDS
    ]


def _lines(stream: Readable) -> Iterator[str]:
    """Yield lines as text; bytes that are not UTF-8 become surrogates, refused later.

    Raises BadInput at a line that is longer than a device can need.
    """
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            message = f"The line is longer than {MAX_LINE_BYTES} bytes."
            raise BadInput(errors=[row_error(number, "", message, None)])
        text = line.decode("utf-8", "surrogateescape")
        yield text.removeprefix("\ufeff") if number == 1 else text
