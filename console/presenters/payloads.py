"""Payloads of devices, shown safely: as JSON, as text, as bytes."""

from __future__ import annotations

import msgspec

JSON, TEXT, HEX = "json", "text", "hex"
BYTES_PER_LINE = 16
MAX_HEX_BYTES = 16 * 1024


def payload_formats(payload: bytes) -> list[str]:
    """Return the formats in which a payload can be shown, the best one first."""
    formats = [HEX]
    if payload:
        formats.insert(0, TEXT)
    if _as_json(payload) is not None:
        formats.insert(0, JSON)
    elif any(byte < 0x20 and byte not in b"\t\r\n" for byte in payload):
        formats.reverse()
    return formats


def format_payload(payload: bytes, form: str) -> str:
    if form == JSON and (text := _as_json(payload)) is not None:
        return _visible(text)
    if form == HEX:
        return _as_hex(payload)
    return _visible(payload.decode("utf-8", "backslashreplace"))


def _as_json(payload: bytes) -> str | None:
    """Indent the document without parsing it: numbers and texts stay as sent."""
    try:
        return msgspec.json.format(payload, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _visible(text: str) -> str:
    """Escape characters that are invisible or change the display: controls, marks."""
    return "".join(
        char if char.isprintable() or char in "\t\n" else _escaped(char)
        for char in text
    )


def _escaped(char: str) -> str:
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _as_hex(payload: bytes) -> str:
    lines = []
    for begin in range(0, min(len(payload), MAX_HEX_BYTES), BYTES_PER_LINE):
        part = payload[begin : begin + BYTES_PER_LINE]
        plain = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{begin:05x}  {part.hex(' '):<47}  {plain}")
    if len(payload) > MAX_HEX_BYTES:
        lines.append(f"… {len(payload) - MAX_HEX_BYTES:,} more bytes")
    return "\n".join(lines)
