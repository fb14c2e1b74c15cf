"""What a device sent, shown so that nothing of it acts: as JSON, as text, as bytes."""

from __future__ import annotations

import msgspec

JSON, TEXT, HEX = "json", "text", "hex"
BYTES_A_LINE = 16
MOST_BYTES_IN_HEX = 16 * 1024


def ways_of(payload: bytes) -> list[str]:
    """Return how a payload can be shown, the most telling way first."""
    ways = [HEX]
    if payload:
        ways.insert(0, TEXT)
    if _as_json(payload) is not None:
        ways.insert(0, JSON)
    elif any(byte < 0x20 and byte not in b"\t\r\n" for byte in payload):
        ways.reverse()
    return ways


def shown(payload: bytes, way: str) -> str:
    """Return a payload in one of these ways."""
    if way == JSON and (text := _as_json(payload)) is not None:
        return _visible(text)
    if way == HEX:
        return _as_hex(payload)
    return _visible(payload.decode("utf-8", "backslashreplace"))


def _as_json(payload: bytes) -> str | None:
    """Indent a document as it stands: no number or text of it is read and rewritten."""
    try:
        return msgspec.json.format(payload, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _visible(text: str) -> str:
    """Write out what would not be seen or would move what is: controls, marks."""
    return "".join(
        sign if sign.isprintable() or sign in "\t\n" else _escaped(sign)
        for sign in text
    )


def _escaped(sign: str) -> str:
    number = ord(sign)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _as_hex(payload: bytes) -> str:
    lines = []
    for begin in range(0, min(len(payload), MOST_BYTES_IN_HEX), BYTES_A_LINE):
        part = payload[begin : begin + BYTES_A_LINE]
        plain = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{begin:05x}  {part.hex(' '):<47}  {plain}")
    if len(payload) > MOST_BYTES_IN_HEX:
        lines.append(f"… {len(payload) - MOST_BYTES_IN_HEX:,} bytes more")
    return "\n".join(lines)
