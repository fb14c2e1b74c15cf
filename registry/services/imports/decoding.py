"""Turns the bytes of a file into lines of text, and names what is not UTF-8."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, NoReturn, Protocol

from iotplatform.common.problems import BadInput
from iotplatform.common.storable import storable

MAX_LINE_BYTES = 1_000_000
READ_BYTES = 64 * 1024  # at a time; shorter than the longest line
SHOWN = 100  # characters of a wrong value in an error
MAX_NAME = 500  # characters of a field's name in an error
CR_ALONE = "The lines end with CR alone. Save it with LF or CRLF at the end of lines."
AS_UTF8, AS_CSV = "Save it as UTF-8.", "Save it as CSV in UTF-8."
# The first bytes of files that people take for text, what they are, and what to do.
SIGNATURES = (
    (b"\x1f\x8b", "gzip", "Unpack it."),
    (b"PK\x03\x04", "a ZIP archive or an .xlsx workbook", AS_CSV),
    (b"\xd0\xcf\x11\xe0", "an .xls workbook", AS_CSV),
    (b"\xff\xfe\0\0", "UTF-32", AS_UTF8),  # before UTF-16, which begins alike
    (b"\0\0\xfe\xff", "UTF-32", AS_UTF8),
    (b"\xff\xfe", "UTF-16", AS_UTF8),
    (b"\xfe\xff", "UTF-16", AS_UTF8),
)

Errors = list[dict[str, Any]]


class Readable(Protocol):
    """A stream of bytes: a request's body, an uploaded file."""

    def read(self, size: int = -1, /) -> bytes: ...


def row_error(line: int, field_name: str, message: str, value: Any) -> dict[str, Any]:
    """Return one error of a line, with the beginning of the wrong value."""
    if value is None:
        shown = None
    else:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        shown = storable(text[:SHOWN])[:SHOWN]
    field_name = storable(field_name[:MAX_NAME])
    return {"line": line, "field": field_name, "message": message, "value": shown}


def refuse_line(line: int, message: str, value: str | None = None) -> NoReturn:
    """Raise the refusal of a file that cannot be read beyond this line."""
    raise BadInput(errors=[row_error(line, "", message, value)])


def read_lines(stream: Readable) -> Iterator[str]:
    """Yield lines with their ends; bytes that are not UTF-8 become surrogates.

    Raises BadInput if the first line is not text in UTF-8, and at a line that is
    longer than a device can need.
    """
    number, rest, is_more = 1, b"", True
    while is_more:
        block = stream.read(READ_BYTES)
        is_more = bool(block)
        text = rest + block
        # What follows the last line end may go on in the next block.
        end = text.rfind(b"\n") + 1 if is_more else len(text)
        whole, rest = text[:end], text[end:]
        first = (whole or rest).partition(b"\n")[0]
        if number == 1 and (whole or len(first) > MAX_LINE_BYTES):
            _check_first_line(first)
            whole = whole.removeprefix(b"\xef\xbb\xbf")
        if len(first) > MAX_LINE_BYTES:
            message = f"The line is longer than {MAX_LINE_BYTES} bytes."
            refuse_line(number, CR_ALONE if b"\r" in first[:-1] else message)
        decoded = whole.decode("utf-8", "surrogateescape")
        yield from io.StringIO(decoded, newline="\n")
        number += whole.count(b"\n")


def _check_first_line(line: bytes) -> None:
    """Raise BadInput naming what the file looks like if this is not UTF-8."""
    for signature, what, remedy in SIGNATURES:
        if line.startswith(signature):
            refuse_line(1, f"Not UTF-8: it looks like {what}. {remedy}")
    if line.count(0) * 3 > len(line):  # several bytes a character, and mostly ASCII
        what = "UTF-32" if line.count(0) * 3 > 2 * len(line) else "UTF-16"
        refuse_line(1, f"Not UTF-8: it looks like {what}. {AS_UTF8}")
    try:
        line.decode()
    except UnicodeDecodeError as error:
        place = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
        message = f"Not UTF-8: {place}; it looks like {_guess(line)}. {AS_UTF8}"
        refuse_line(1, message, line.decode("utf-8", "surrogateescape"))


def why_not_text(text: str) -> str:
    """Return why this text cannot be stored, and what to do if it is of a file."""
    if "\0" not in text:
        try:
            line = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            pass  # half a surrogate pair, written as a JSON escape
        else:
            return f"Not UTF-8: it looks like {_guess(line)}. {AS_UTF8}"
    return "Not UTF-8 text without NUL."


def _guess(line: bytes) -> str:
    try:
        line.decode("cp1252")
    except UnicodeDecodeError:
        return "another encoding"
    return "Windows-1252 (cp1252)"
