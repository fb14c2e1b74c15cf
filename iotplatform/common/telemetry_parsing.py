"""Parse telemetry so that one bad value costs only itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct, ValidationError

from iotplatform.common.device_clock import milliseconds_to_add, why_not_history
from iotplatform.common.message_faults import (
    Fault,
    decode_fields,
    decode_raws,
    fault_of,
)
from iotplatform.common.message_structs import (
    MAX_ENTRIES,
    MAX_METRICS,
    BigInt,
    HistoryEntry,
    Message,
    Name,
    Telemetry,
)

UncheckedMetrics = Annotated[dict[str, Raw], Meta(max_length=MAX_METRICS)]
LONGEST_NAME = 64  # shown of a metric whose name is too long
MISSING = [Fault("metrics", "missing, and there is no history")]
decode_telemetry = msgspec.json.Decoder(Telemetry).decode
decode_entry = msgspec.json.Decoder(HistoryEntry).decode
decode_number = msgspec.json.Decoder(float).decode


class UncheckedTelemetry(Message, frozen=True, kw_only=True):
    """Telemetry whose values are still JSON, each to be checked by itself."""

    metrics: UncheckedMetrics = msgspec.field(default_factory=dict)
    history: Annotated[list[msgspec.Raw], Meta(max_length=MAX_ENTRIES)] = msgspec.field(
        default_factory=list
    )


class UncheckedEntry(Struct, frozen=True):
    """An entry of a history, its metrics still JSON."""

    ts: BigInt
    metrics: UncheckedMetrics


# A message, or None if nothing in it can be used; and what cannot.
ParsedTelemetry = tuple[Telemetry | None, Sequence[Fault]]


def parse_telemetry(data: bytes, *, arrived_at: datetime) -> ParsedTelemetry:
    """Return the usable values and the faults of the others.

    Raises ValidationError for JSON that is no object.
    """
    try:
        message = decode_telemetry(data)
    except ValidationError:
        return _salvage(data, arrived_at)
    if message.history:
        return _with_history(message, enumerate(message.history), [], arrived_at)
    if not message.metrics and not decode_raws(data).keys() & {"metrics", "history"}:
        return None, MISSING
    return message, ()


def _salvage(data: bytes, arrived_at: datetime) -> ParsedTelemetry:
    """Check each field, metric and entry by itself."""
    values, faults = decode_fields(UncheckedTelemetry, data)
    metrics = _usable(values.pop("metrics", {}), "metrics", faults)
    entries: list[tuple[int, HistoryEntry]] = []
    for position, raw in enumerate(values.pop("history", [])):
        if entry := _usable_entry(raw, f"history.{position}", faults):
            entries.append((position, entry))
    is_stamped = not {fault.field for fault in faults} & {*Message.__struct_fields__}
    if not is_stamped or not (metrics or entries):
        return None, faults
    message = Telemetry(metrics=metrics, **values)
    return _with_history(message, entries, faults, arrived_at)


def _usable_entry(raw: Raw, place: str, faults: list[Fault]) -> HistoryEntry | None:
    try:
        return decode_entry(raw)  # most entries beside a bad one are good
    except ValidationError:
        pass
    try:
        values, found = decode_fields(UncheckedEntry, raw, within=f"{place}.")
    except ValidationError as error:
        faults.append(fault_of(error, place))
        return None
    faults += found
    metrics = _usable(values.get("metrics", {}), f"{place}.metrics", faults)
    if found or not metrics:
        return None
    return HistoryEntry(ts=values["ts"], metrics=metrics)


def _usable(raws: dict[str, Raw], place: str, faults: list[Fault]) -> dict[str, float]:
    """Return the metrics that are numbers with a good name; add a fault for others."""
    usable: dict[str, float] = {}
    for name, raw in raws.items():
        try:
            number = decode_number(raw)
            usable[msgspec.convert(name, Name)] = number
        except ValidationError as error:
            faults.append(fault_of(error, f"{place}.{name[:LONGEST_NAME]}"))
    return usable


def _with_history(
    message: Telemetry,
    entries: Iterable[tuple[int, HistoryEntry]],
    faults: list[Fault],
    arrived_at: datetime,
) -> ParsedTelemetry:
    """Leave out the entries that are too old, or in the future."""
    add = milliseconds_to_add(message.ts, arrived_at)
    kept = []
    for position, entry in entries:
        if why := why_not_history(entry.ts + add, arrived_at):
            faults.append(Fault(f"history.{position}.ts", why))
        else:
            kept.append(entry)
    return msgspec.structs.replace(message, history=kept), faults
