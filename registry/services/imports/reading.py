"""Reads the lines of a CSV or NDJSON file into batches of rows."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from iotplatform.common.problems import BadInput
from iotplatform.common.storable import is_storable
from registry.services.imports.batches import BATCH, Batch, Row
from registry.services.imports.decoding import (
    CR_ALONE,
    Errors,
    Readable,
    read_lines,
    refuse_line,
    row_error,
    why_not_text,
)

# The fields of an imported device, as in POST devices/.
FIELDS = (
    *("uid", "name", "serial", "tenant", "project", "site", "space", "product"),
    *("hardware_revision", "batch", "kind", "gateway", "adapter", "tags", "attributes"),
)
KNOWN = frozenset(FIELDS)
READ_ONLY = frozenset({"id", "lifecycle", "created_at", "updated_at"})
ATTRIBUTE = "attributes."  # attributes.battery_rev is a column of its own
TAGS_APART = ";"
PLAIN = frozenset({str, type(None)})  # the types whose values tell themselves apart
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's first line
TOO_DEEP = "Nested too deeply."


def read_ndjson(stream: Readable) -> Iterator[Batch]:
    """Yield the lines that are not blank; each line is a JSON object."""
    numbered = enumerate(read_lines(stream), start=1)
    while some := list(islice(numbered, BATCH)):
        rows = [_object(number, text) for number, text in some if text.strip()]
        right = [row for row in rows if not row.errors]
        yield Batch(
            lines=[row.line for row in right],
            columns=_columns(right),
            row=right.__getitem__,
            nothing=None,
            wrong=[row for row in rows if row.errors],
        )


def _object(number: int, text: str) -> Row:
    row = Row(number)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        why = TOO_DEEP if isinstance(error, RecursionError) else f"Not JSON: {error}"
        message = CR_ALONE if "\r" in text.strip() else why
        row.errors.append(row_error(number, "", message, text))
        return row
    if isinstance(found, dict):
        row.given = found
        if not found.keys() <= KNOWN:
            row.errors += _unknown(number, found)
    else:
        message = "Each line is a JSON object."
        row.errors.append(row_error(number, "", message, text))
    return row


def _columns(rows: list[Row]) -> dict[str, list[Any]]:
    """Return the values of every field that a row has, told apart."""
    given = [row.given for row in rows]
    named = set[str]().union(*given)
    columns = {name: [one.get(name) for one in given] for name in named}
    return {
        # Most columns are text.
        name: values if PLAIN.issuperset(map(type, values)) else _told_apart(values)
        for name, values in columns.items()
    }


def _told_apart(values: list[Any]) -> list[Any]:
    """Return values that can be keys of a dict, each equal only to its like.

    ``1``, ``1.0`` and ``true`` are equal, what Python shows of them is not.
    """
    return [value if type(value) in PLAIN else (repr(value),) for value in values]


def read_csv(stream: Readable) -> Iterator[Batch]:
    """Yield the records that have a value; the first record names the fields.

    Raises BadInput if the header is wrong.
    """
    lines = read_lines(stream)
    first = next(lines, "")
    before = 0  # lines that the CSV reader does not see
    if told := SEPARATOR_LINE.fullmatch(first):
        before, first = 1, next(lines, "")
    separator = told[1] if told else _separator_of(first)
    if separator not in SEPARATORS:
        known = ", ".join(SEPARATORS.values())
        refuse_line(1, f"The separator has to be one of: {known}.", separator)
    if "\r" in first.rstrip("\r\n"):
        refuse_line(1 + before, CR_ALONE)
    reader = csv.reader(chain([first], lines), strict=True, delimiter=separator)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        refuse_line(1 + before, _said(error))
    while header and not header[-1]:  # as after a comma at the end of the line
        header.pop()
    _check_header(1 + before, header)
    is_more = True
    while is_more:
        batch, is_more = _next_records(reader, before, header)
        yield batch


def _next_records(reader: Any, before: int, header: list[str]) -> tuple[Batch, bool]:
    """Return the next records, and whether there may be more."""
    lines: list[int] = []
    records: list[list[str]] = []
    wrong: list[Row] = []
    count = 0
    try:
        for cells in islice(reader, BATCH):
            count += 1
            # Most records need no closer look.
            if len(cells) != len(header) or not cells[0].strip():
                if not "".join(cells).strip():
                    continue
                if not any(cells[len(header) :]):
                    del cells[len(header) :]
            if len(cells) == len(header):
                lines.append(reader.line_num + before)
                records.append(cells)
            else:
                text = f"{len(cells)} cells, but the header has {len(header)} fields."
                error = row_error(reader.line_num + before, "", text, None)
                wrong.append(Row(error["line"], errors=[error]))
    except csv.Error as error:  # after an unclosed quote, nothing can be separated
        line = reader.line_num + before
        wrong.append(Row(line, errors=[row_error(line, "", _said(error), None)]))
        count = 0
    batch = Batch(
        lines=lines,
        columns=dict(zip(header, zip(*records, strict=True), strict=False)),
        row=lambda place: _record(lines[place], header, records[place]),
        nothing="",
        wrong=wrong,
    )
    return batch, count == BATCH


def _separator_of(header: str) -> str:
    """Return the separator by which most cells of the header name a field."""

    def fields_by(separator: str) -> int:
        cells = [cell.strip(' "\r\n') for cell in header.split(separator)]
        return sum(cell in FIELDS or cell.startswith(ATTRIBUTE) for cell in cells)

    found = max(SEPARATORS, key=fields_by)  # the first one of equals: the comma
    if not fields_by(found) and fields_by("|") > 1:
        return "|"
    return found


def _said(error: csv.Error) -> str:
    """Return the words for an error of Python's CSV reader."""
    text = str(error)
    if text.startswith("new-line character"):
        return CR_ALONE
    if text == "unexpected end of data":
        return "Not CSV: a quotation mark is not closed."
    return f"Not CSV: {text}"


def _record(line: int, header: list[str], cells: list[str]) -> Row:
    row = Row(line)
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


def _check_header(line: int, header: list[str]) -> None:
    if not any(header):
        refuse_line(line, "The first line must contain the field names.")
    errors = [
        row_error(line, "", f"Column {place} has no name.", None)
        for place, name in enumerate(header, start=1)
        if not name
    ]
    names = [name for name in header if name]
    errors += _unknown(
        line,
        [n for n in names if not (n.startswith(ATTRIBUTE) and is_storable(n))],
    )
    twice = {name for name in names if names.count(name) > 1}
    errors += [
        row_error(line, name, "This field is named twice.", name)
        for name in sorted(twice)
    ]
    if errors:
        raise BadInput(errors=errors)


def _unknown(line: int, names: Iterable[str]) -> Errors:
    return [
        row_error(line, name, _why_unknown(name), name)
        for name in names
        if name not in FIELDS
    ]


def _why_unknown(name: str) -> str:
    if not is_storable(name):
        return why_not_text(name)
    if name in READ_ONLY:
        return "This field cannot be set here."
    return "There is no such field."
