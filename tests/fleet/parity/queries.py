"""The fixed queries of the parity suite."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from fleet.fields import FIELDS, Field, Kind
from fleet.query.values import quote, quote_name
from tests.fleet.parity.world import KEYS, NAMES, NASTY_TEXTS, NUMBERS, PATHS, VERSIONS

DAYS = ("now", "now-1d", "now-100h", "2026-11-21", "2026-11-23", "1970-01-01")
RANGES = (">{}", ">={}", "<{}", "<={}", "[{} TO *]", "{{* TO {}}}")
PATTERNS = (
    "a*",
    "*a*",
    "?",
    "?*",
    "*\\\\*",
    "\\**",
    "*日*",
    "e?st*china",
    "*ß*",
    "\\?",
)
VERSION_PATTERNS = ("1.4.*", "1.*", "v1.4*", "*rc*", "2.0-rc.?", "1.?", "*", "1.04.*")
REFERENCE = (
    'region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5',
    "connectivity:online AND oldest_unacked_at:<now-1d",
    "connectivity:online AND NOT (lifecycle:retired OR tag:winter)",
)
COMBINED = (
    "*",
    "NOT *",
    "NOT NOT drift:true",
    "drift:(true OR false)",
    "rssi:(-71 OR -70.5 OR 0)",
    "(region:* OR site:*) AND (name:store OR NOT tags:*)",
    "NOT (region:a* AND NOT (rssi:>0 OR NOT battery:<5))",
    "store 5",
    "日",
    "日本",
    "uid:dev-1 OR uid:DEV-2 OR gateway:*",
    "since:[now-1d TO now]",
    "since:{now-1d TO now}",
    "firmware:[1.4 TO 1.10} AND rssi:[-1 TO 5]",
    "battery:[-1e300 TO 1e20] OR alarms:{0 TO 1}",
    "dev*",
    "*ü*",
)


def fixed_queries() -> list[str]:
    """Return every query once, in a fixed order."""
    made = [*REFERENCE, *COMBINED, *_deep()]
    for field in FIELDS:
        made += _of_field(field)
    return list(dict.fromkeys(made))


def _of_field(field: Field) -> Iterator[str]:
    name = field.name
    if field.kind is Kind.JSON:
        yield from _of_keys(name)
        return
    yield f"{name}:*"
    if field.vocabulary:
        yield f"{name}:{quote(field.vocabulary[0])}"
        yield f"{name}:*{field.vocabulary[-1][1:]}"
    elif field.kind is Kind.KEYWORD and name in ("region", "uid", "tags"):
        yield from (f"{name}:{quote(text)}" for text in NASTY_TEXTS if text.strip())
        yield from (f"{name}:{pattern}" for pattern in PATTERNS)
    elif field.kind is Kind.KEYWORD:
        yield f'{name}:"East China"'
        yield f"{name}:*B*"
    elif field.kind is Kind.TEXT:
        texts = [text for text in NAMES if text != "-"]
        yield from (f"{name}:{quote(text)}" for text in texts)
        yield from (f"{name}:{word}" for word in ("st*", "?", "*日*", "x*", "??本*"))
    elif field.kind is Kind.VERSION:
        texts = [text for text in VERSIONS if text]
        yield from (f"{name}:{quote(text)}" for text in texts)
        yield from (f"{name}:{pattern}" for pattern in VERSION_PATTERNS)
        yield from (f"{name}:{r.format(v)}" for r, v in product(RANGES, ("1.9", "2.0")))
    elif field.kind is Kind.PATH:
        yield from (f"{name}:{quote(path)}" for path in (*PATHS, "f-2", "hq/"))
        yield from (f"{name}:{pattern}" for pattern in ("hq/*", "*f-2", "hq/f-2?"))
    elif field.kind is Kind.BOOLEAN:
        yield from (f"{name}:true", f"NOT {name}:false")
    elif field.kind is Kind.DATE:
        days = DAYS if name == "since" else DAYS[1:2]
        yield from (f"{name}:{r.format(day)}" for r, day in product(RANGES, days))
        yield from (f"{name}:{day}" for day in days)
    elif name in ("rssi", "battery"):
        yield from _of_numbers(name)
    else:
        yield from (f"{name}:5", f"{name}:>=1")


def _of_numbers(name: str) -> Iterator[str]:
    for number in NUMBERS:
        text = quote(repr(float(number)))
        yield from (f"{name}:{text}", f"{name}:>{text}", f"{name}:<={text}")


def _of_keys(name: str) -> Iterator[str]:
    for key in (*KEYS, "modem", "modem.chip", "nothing"):
        yield f"{quote_name(f'{name}.{key}')}:*"
    yield from (f"{name}.rev:{quote(str(text))}" for text in ("B", "5", "-5", "1e3"))
    yield from (f"{name}.rev:{quote(t)}" for t in ("TRUE", "=x", "STRASSE", "日本"))
    if name == "attr":
        yield from _of_numbers(f"{name}.modem.fw")
        yield f"{name}.rev:[-1 TO 1e20}}"
        yield f"{quote_name(f'{name}.$s')}:[-1e300 TO 1e300]"


def _deep() -> Iterator[str]:
    """Yield queries as deep as the parser allows."""
    text = "rssi:>0"
    for number in range(10):
        text = f"(region:a* {'OR' if number % 2 else 'AND'} NOT {text})"
    yield text
    text = "drift:true"
    for number in range(14):
        text = f"({text} {'OR' if number % 2 else 'AND'} tags:*)"
    yield text
