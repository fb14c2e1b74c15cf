"""Devices with nasty values, the same at every run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from fleet.backends.documents import FleetDocument
from fleet.fields import FIELDS, Field, Kind
from tests.fleet.strategies import NOW

SIZE = 150
TENANTS = (1, 1, 1, 2)
NASTY_TEXTS = (
    *("East China", "east china", "EAST CHINA", "Zürich", "ZU\u0308RICH", "x.y", "a b"),
    *("ΟΔΟΣ", "οδος", "Straße", "STRASSE", "\ufb01sh", "\uff37ide", "İstanbul", "日本"),
    *("a*b", "a?b", "a\\b", 'a"b', "(x)", "AND", "or", "5", "5.0", "-5", "true", "*"),
    *("\u200bzero", "😀", "é", "e\u0301", "a\nb", "  ", "ä" * 500, "z" * 500),
)
NAMES = (
    *("Cold store 5", "cold STORE", "store cold", "Pump-7", "-", "上海浦东冷库 3号"),
    *(
        "浦 东",
        "東日本店",
        "日本 日",
        "5日本",
        "日5本",
        "ไทยแลนด์",
        "x" * 400,
        "Zürich store",
    ),
    *("ΟΔΟΣ 5", "a_b c.d", "store", "東京 store 日", "浦"),
)
VERSIONS = (
    *("1.4", "1.4.0", "v1.4.0", " 1.4 ", "1.4.2", "v1.4.10", "1.10", "1.9", "2.0-rc1"),
    *("2.0-RC.1", "2.0.0-rc.10", "2.0", "x", "X", "1.0b", "1.0.1", "é1", "", "9" * 120),
)
PATHS = ("hq", "hq/f-2", "HQ/f-2/r-7", "hq/f-22", "annex/f-2", "annex", "a b/c*d")
NUMBERS: tuple[float, ...] = (
    *(0, -0.0, 1, -1, 5, 5.5, -70.5, 0.1, 1e-9, -1e-9, 1e20, -1e300, 1.7e308, 2**52),
    *(2**53 + 1, -(2**63), 2**63, 2**64, 0.30000000000000004, 5e-324, 100, 20),
)
MOMENTS = (
    *(NOW + timedelta(hours=h, milliseconds=m) for h in (-100, -24, 0) for m in (0, 1)),
    datetime(2026, 11, 21, tzinfo=UTC),
    datetime(2026, 11, 21, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(9999, 12, 31, tzinfo=UTC),
)
KEYS = ("rev", "modem.fw", "modem.chip.rev", "a b", "$s", "a*b", "ключ", "Rev", "x:y")
SCALARS: tuple[Any, ...] = (
    *("B", "b", "5", "5.0", "-5", "1e3", "true", True, False, "2026-01-01T00:00:00Z"),
    *("=x", "", "Straße", "STRASSE", "日本", "a*b", "ä" * 500),
)


@cache
def world() -> tuple[FleetDocument, ...]:
    """Return the documents; every value is somewhere, and so is its absence."""
    chance = Random(13)
    return tuple(
        FleetDocument(
            _device_id(number), chance.choice(TENANTS), _values(number, chance)
        )
        for number in range(SIZE)
    )


def _device_id(number: int) -> int:
    return number * 7 % SIZE + 1 + (2**40 if number % 10 == 0 else 0)


def _values(number: int, chance: Random) -> dict[str, Any]:
    values: dict[str, Any] = {"uid": f"{chance.choice(['dev', 'DEV', 'ü'])}-{number}"}
    for field in FIELDS:
        if field.name != "uid" and chance.random() < 0.7:
            values[field.name] = _value(field, number, chance)
    return values


def _value(field: Field, number: int, chance: Random) -> Any:
    texts = field.vocabulary or NASTY_TEXTS
    if field.kind is Kind.JSON:
        keys = chance.sample(KEYS, chance.randrange(len(KEYS)))
        return {key: _free(chance) for key in keys}
    if field.is_list:
        return [chance.choice(texts) for _ in range(chance.randrange(4))]
    choices: dict[Kind, Any] = {
        Kind.TEXT: NAMES,
        Kind.VERSION: VERSIONS,
        Kind.PATH: PATHS,
        Kind.NUMBER: NUMBERS,
        Kind.DATE: MOMENTS,
        Kind.BOOLEAN: (True, False),
    }
    return chance.choice(choices.get(field.kind, texts))


def _free(chance: Random) -> Any:
    pool = (*SCALARS, *NUMBERS)
    if chance.random() < 0.3:
        return [chance.choice(pool) for _ in range(1 + chance.randrange(3))]
    return chance.choice(pool)
