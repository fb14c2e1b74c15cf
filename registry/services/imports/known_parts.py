"""Lets those rows pass quickly whose parts a full check has found right before.

Devices of one delivery differ in uid, name and serial, and share the rest: place,
product, build, tags, most attributes. What is each row's own is checked for a whole
batch at once. What rows share is remembered from the first row that has it. A row of
which anything is wrong gets the full check (``Checker``), which alone words the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import eq
from typing import Any

from iotplatform.common.ids import UID, new_public_id_text
from iotplatform.common.storable import is_storable
from registry.services.imports.batches import Batch, Row
from registry.services.imports.checking import LENGTHS, Candidate, Checker
from registry.services.imports.decoding import Errors
from registry.services.imports.reading import ATTRIBUTE
from registry.validators import NO_UIDS

# What says where a device is and what it is; beside it, whether it has a gateway.
SHARED = (
    *("tenant", "project", "site", "space", "product", "hardware_revision", "batch"),
    *("kind", "adapter"),
)
OWN = ("name", "serial", "gateway")
MOST_KNOWN = 50_000  # of each part: some megabytes
COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NULL = "\\N"


class KnownParts:
    """Checks the batches of one file."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        # The texts for COPY, by the values in the file.
        self._shared: dict[Hashable, str] = {}
        self._tags: dict[Hashable, str] = {}
        self._attributes: dict[Hashable, str] = {}

    def check(self, batch: Batch) -> tuple[list[str], Errors]:
        """Return a line for COPY of each device, and the errors of the other rows."""
        if batch.wrong or not self._own_parts_pass(batch):
            return self._check_fully(batch.rows())
        copied, places = self._pass_known(batch)
        further, errors = self._check_fully(map(batch.row, places))
        return copied + further, errors

    def _own_parts_pass(self, batch: Batch) -> bool:
        """Check uids, names, serials and gateways; if all pass, they are taken."""
        uids = batch.column("uid")
        if set(map(type, uids)) != {str} or not all(map(UID.fullmatch, uids)):
            return False
        given = {name: list(filter(None, batch.column(name))) for name in OWN}
        for name, texts in given.items():
            if not set(map(type, texts)) <= {str} or not is_storable("".join(texts)):
                return False
            if max(map(len, texts), default=0) > LENGTHS[name]:
                return False
        gateways = batch.column("gateway")
        if any(map(eq, gateways, uids)) or (batch.nothing is None and "" in gateways):
            return False
        return NO_UIDS.isdisjoint(uids) and self._checker.take(
            batch.lines, uids, batch.column("serial")
        )

    def _pass_known(self, batch: Batch) -> tuple[list[str], list[int]]:
        """Return the lines of the rows whose parts are known, and the other places."""
        keys = _Keys(batch)
        names, serials, gateways = map(batch.column, OWN)
        columns: list[Iterable[Any]] = [
            batch.lines,
            batch.column("uid"),
            [_escaped(text.strip()) if text else "" for text in names],
            [_escaped(text.strip()) if text else "" for text in serials],
            [_escaped(uid) if uid else NULL for uid in gateways],
            _known_or_learnt(self._tags, keys.tags, batch, self._tags_of),
            _known_or_learnt(
                self._attributes, keys.attributes, batch, self._attributes_of
            ),
            _known_or_learnt(self._shared, keys.shared, batch, self._shared_of),
        ]
        copied: list[str] = []
        unknown: list[int] = []
        for place, values in enumerate(zip(*columns, strict=True)):
            if None in values:
                unknown.append(place)
            else:
                copied.append(_line(*values))
        return copied, unknown

    def _check_fully(self, rows: Iterable[Row]) -> tuple[list[str], Errors]:
        copied: list[str] = []
        errors: Errors = []
        for row in rows:
            candidate, found = self._checker.check(row)
            errors += found
            if candidate is not None:
                copied.append(_line_of(candidate))
        return copied, errors

    def _tags_of(self, row: Row) -> str | None:
        tags = self._checker.tags_of(row)
        return None if tags is None else _array(tags)

    def _attributes_of(self, row: Row) -> str | None:
        text = self._checker.attributes_of(row)
        return None if text is None else _escaped(text)

    def _shared_of(self, row: Row) -> str | None:
        candidate, _ = self._checker.check(row)
        return None if candidate is None else _shared(candidate)


class _Keys:
    """What tells the parts of a batch's rows apart."""

    def __init__(self, batch: Batch) -> None:
        has_gateway = [gateway != batch.nothing for gateway in batch.column("gateway")]
        columns = map(batch.column, SHARED)
        self.shared: list[Hashable] = list(zip(*columns, has_gateway, strict=True))
        self.tags: Sequence[Hashable] = batch.column("tags")
        self.attributes: list[Hashable] = list(
            zip(
                batch.column("product"),
                batch.column("attributes"),
                *(c for name, c in batch.columns.items() if name.startswith(ATTRIBUTE)),
                strict=True,
            )
        )


def _known_or_learnt(
    known: dict[Hashable, str],
    keys: Sequence[Hashable],
    batch: Batch,
    learn: Callable[[Row], str | None],
) -> list[str | None]:
    """Return the texts of these keys, learning a new one from its first row."""
    places: dict[Hashable, int] = {}
    for place, key in enumerate(keys):
        if key not in known:
            places.setdefault(key, place)
    if len(known) + len(places) > MOST_KNOWN:
        known.clear()
        places = {key: place for place, key in reversed(list(enumerate(keys)))}
    for key, place in places.items():
        text = learn(batch.row(place))
        if text is not None:
            known[key] = text
    return list(map(known.get, keys))


def _line(
    line: int,
    uid: str,
    name: str,
    serial: str,
    gateway: str,
    tags: str,
    attributes: str,
    shared: str,
) -> str:
    """Return one line for COPY; all texts are escaped."""
    return (
        f"{line}\t{uid}\t{name}\t{serial}\t{gateway}\t{tags}\t{attributes}"
        f"\t{new_public_id_text()}\t{new_public_id_text()}\t{shared}\n"
    )


def _line_of(candidate: Candidate) -> str:
    return _line(
        candidate.line,
        candidate.uid,
        _escaped(candidate.name),
        _escaped(candidate.serial),
        NULL if candidate.gateway is None else _escaped(candidate.gateway),
        _array(candidate.tags),
        _escaped(candidate.attributes),
        _shared(candidate),
    )


def _shared(candidate: Candidate) -> str:
    ids = (
        *(candidate.project_id, candidate.site_id, candidate.space_id),
        *(candidate.product_id, candidate.hardware_revision_id, candidate.batch_id),
    )
    keys = "\t".join(NULL if key is None else str(key) for key in ids)
    return f"{keys}\t{candidate.kind}\t{candidate.adapter}"


def _array(tags: Iterable[str]) -> str:
    return "{" + ",".join(f'"{tag}"' for tag in tags) + "}"


def _escaped(text: str) -> str:
    """Return a text as COPY reads it."""
    return text.translate(COPY_ESCAPES)
