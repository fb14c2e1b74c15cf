"""From the bytes of a CSV or NDJSON file to one row of fields a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from iotplatform.common.problems import BadInput

# What an imported device may say of itself, as in POST devices/.
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
    """What one line says; an empty cell says nothing."""

    line: int
    given: dict[str, Any] = field(default_factory=dict)
    # Attributes from columns of their own, as text.
    cells: dict[str, str] = field(default_factory=dict)
    errors: Errors = field(default_factory=list)


def complaint(line: int, field_name: str, message: str, value: Any) -> dict[str, Any]:
    """Return one error of a line, with the beginning of the value that it is about."""
    if value is None:
        shown = None
    else:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        shown = text.encode("utf-8", "replace").decode()[:SHOWN]
    return {"line": line, "field": field_name, "message": message, "value": shown}


def read_ndjson(stream: Readable) -> Iterator[Row]:
    """Yield a row for each line that is not blank; each is a JSON object."""
    for number, text in enumerate(_lines(stream), start=1):
        if not text.strip():
            continue
        row = Row(number)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            row.errors.append(complaint(number, "", f"Not JSON: {error}", text))
        else:
            if isinstance(found, dict):
                row.given = found
                row.errors += _unknown(number, found)
            else:
                message = "Each line is a JSON object."
                row.errors.append(complaint(number, "", message, text))
        yield row


def read_csv(stream: Readable) -> Iterator[Row]:
    """Yield a row for each record; the first one names the fields of the others.

    Raises BadInput where the header cannot be used.
    """
    reader = csv.reader(_lines(stream), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise BadInput(errors=[complaint(1, "", f"Not CSV: {error}", None)]) from error
    _check_header(header)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = Row(reader.line_num)
            row.errors.append(complaint(row.line, "", f"Not CSV: {error}", None))
            yield row
            return  # where a quote is not closed, nothing after it can be told apart
        if cells:
            yield _record(reader.line_num, header, cells)


def _record(line: int, header: list[str], cells: list[str]) -> Row:
    row = Row(line)
    if len(cells) != len(header):
        message = f"{len(cells)} cells, and the header names {len(header)} fields."
        row.errors.append(complaint(line, "", message, None))
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
                row.errors.append(complaint(line, name, "A JSON object.", cell))
        else:
            row.given[name] = cell
    return row


def _check_header(header: list[str]) -> None:
    if not any(header):
        raise BadInput(
            errors=[complaint(1, "", "The first line names the fields.", None)]
        )
    columns = [name for name in header if not name.startswith(ATTRIBUTE)]
    errors = _unknown(1, columns)
    twice = {name for name in header if header.count(name) > 1}
    errors += [complaint(1, name, "Named twice.", name) for name in sorted(twice)]
    if errors:
        raise BadInput(errors=errors)


def _unknown(line: int, names: Iterable[str]) -> Errors:
    return [
        complaint(
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
    """Yield lines as text; what is not UTF-8 becomes half surrogates, and is refused.

    Raises BadInput at a line that is longer than any device's.
    """
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            message = f"The line is longer than {MAX_LINE_BYTES} bytes."
            raise BadInput(errors=[complaint(number, "", message, None)])
        text = line.decode("utf-8", "surrogateescape")
        yield text.removeprefix("\ufeff") if number == 1 else text
