"""The fields of a device's document: names, kinds, and what a query can do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from commands.choices import CommandStatus, FailureClass
from fleet.exceptions import QueryError
from registry.choices import Adapter, DeviceKind, Lifecycle
from state.choices import Cause, Connectivity
from state.judgment.risk import WEIGHTS


class Kind(StrEnum):
    """The kind of a field's values, which decides the conditions that it supports."""

    KEYWORD = "keyword"  # the whole text, in any case unless exact; wildcards
    VERSION = "version"  # 1.10 > 1.9; ranges and wildcards
    NUMBER = "number"  # ranges
    DATE = "date"  # ranges, relative times
    BOOLEAN = "boolean"  # true, false
    PATH = "path"  # hq/floor-2: this path and all below it; wildcards
    TEXT = "text"  # words and phrases; wildcards within a word
    JSON = "json"  # keys below the name (attr.battery_rev): text or numbers


RANGED = frozenset({Kind.VERSION, Kind.NUMBER, Kind.DATE, Kind.JSON})
PATTERNED = frozenset({Kind.KEYWORD, Kind.VERSION, Kind.PATH, Kind.TEXT})
FACETED = frozenset(
    {Kind.KEYWORD, Kind.VERSION, Kind.PATH, Kind.NUMBER, Kind.BOOLEAN, Kind.JSON}
)


@dataclass(frozen=True)
class Field:
    """One field of the document."""

    name: str
    kind: Kind
    help: str
    aliases: tuple[str, ...] = ()
    is_list: bool = False
    is_exact: bool = False  # upper and lower case differ, as everywhere for uids
    vocabulary: tuple[str, ...] = ()  # all values that there can be; empty: any value

    @property
    def sorts(self) -> bool:
        """Whether results can be sorted by it."""
        return self.kind is not Kind.JSON and not self.is_list

    @property
    def facets(self) -> bool:
        """Whether devices can be counted by its values."""
        return self.kind in FACETED


def _words(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(value for value in values if value)


K, V, N, D, B = Kind.KEYWORD, Kind.VERSION, Kind.NUMBER, Kind.DATE, Kind.BOOLEAN

FIELDS: tuple[Field, ...] = (
    Field(
        "uid",
        K,
        "Unique name of the device, also its MQTT user name; in its exact case",
        is_exact=True,
    ),
    Field("name", Kind.TEXT, "Display name"),
    Field("serial", K, "Serial number"),
    Field("tenant", K, "Owner"),
    Field("project", K, "Project"),
    Field("site", K, "Site"),
    Field("space", Kind.PATH, "Space in the site (hq/floor-2), with all below it"),
    Field("region", K, "Region of the site"),
    Field("product", K, "Product"),
    Field("model", K, "The product's name"),
    Field("hardware_revision", K, "Hardware revision of the product"),
    Field("batch", K, "Manufacturing batch of the revision"),
    Field(
        "kind", K, "standalone, gateway or child", vocabulary=_words(DeviceKind.values)
    ),
    Field("gateway", K, "Gateway of a child device, its exact uid", is_exact=True),
    Field(
        "adapter",
        K,
        "How the device connects: mqtt or http",
        vocabulary=_words(Adapter.values),
    ),
    Field(
        "lifecycle",
        K,
        "provisioned, active, in_repair, retired or replaced",
        vocabulary=_words(Lifecycle.values),
    ),
    Field("tags", K, "Tags", aliases=("tag",), is_list=True),
    Field("firmware", V, "Reported firmware version"),
    Field("config_version", V, "Reported configuration version"),
    Field("drift", B, "Whether reported and desired settings differ"),
    Field(
        "connectivity",
        K,
        "online, suspect, stale or offline",
        vocabulary=_words(Connectivity.values),
    ),
    Field("cause", K, "Cause of the connectivity", vocabulary=_words(Cause.values)),
    Field("in_maintenance", B, "Whether it, or its site, is in maintenance now"),
    Field("since", D, "Since when it has this connectivity"),
    Field("last_activity", D, "Last valid message; exact to the hour while online"),
    Field("disconnects_72h", N, "Abnormal disconnects in the last 72 hours"),
    Field(
        "heartbeat_risk",
        N,
        "The part of the risk that comes from heartbeats and disconnects",
    ),
    Field("battery", N, "Battery, %"),
    Field("rssi", N, "Signal strength, dBm"),
    Field("risk", N, "Risk, 0 to 100"),
    Field(
        "risk_reasons",
        K,
        "Reasons for the risk",
        is_list=True,
        vocabulary=_words(WEIGHTS),
    ),
    Field("alarms", N, "Open alarms"),
    Field("alarms_info", N, "Open alarms of severity info"),
    Field("alarms_warning", N, "Open alarms of severity warning"),
    Field("alarms_critical", N, "Open alarms of severity critical"),
    Field("last_alarm", K, "Code of the newest alarm"),
    Field("last_alarm_at", D, "When the newest alarm was raised"),
    Field("pending_commands", N, "Commands that have not ended"),
    Field("oldest_unacked_at", D, "When the oldest unacknowledged command was sent"),
    Field("last_ack_at", D, "When a command was last acknowledged"),
    Field("command_failure_rate", N, "Share of the last 20 commands that failed"),
    Field("last_command", K, "Name of the newest command"),
    Field(
        "last_command_status",
        K,
        "Status of the newest command",
        vocabulary=_words(CommandStatus.values),
    ),
    Field(
        "last_command_failure_class",
        K,
        "Why the newest command failed",
        vocabulary=_words(FailureClass.values),
    ),
    Field("attr", Kind.JSON, "Attributes that the product declares as searchable"),
    Field("reported", Kind.JSON, "Reported keys that the product declares"),
    Field("metric", Kind.JSON, "Metrics that the product declares"),
)

BY_NAME: dict[str, Field] = {field.name: field for field in FIELDS}
BY_ANY_NAME: dict[str, Field] = BY_NAME | {
    alias: field for field in FIELDS for alias in field.aliases
}
# A word without a field name is searched in these fields.
WORD_FIELDS = ("uid", "name", "serial")


@dataclass(frozen=True)
class FieldRef:
    """A field that a query names; ``path`` is the key after ``attr.`` and the like."""

    name: str
    path: str = ""

    @property
    def field(self) -> Field:
        return BY_NAME[self.name]

    @property
    def kind(self) -> Kind:
        return self.field.kind

    def __str__(self) -> str:
        return f"{self.name}.{self.path}" if self.path else self.name


def resolve_field(name: str, *, position: int = 0, source: str = "q") -> FieldRef:
    """Return the field with this name; raises QueryError with the nearest name."""
    if (field := BY_ANY_NAME.get(name)) is not None:
        if field.kind is Kind.JSON:
            raise QueryError(
                f"'{name}' needs a key: {name}.<key>.", position, field=source
            )
        return FieldRef(field.name)
    head, dot, path = name.partition(".")
    field = BY_NAME.get(head)
    if dot and field is not None and field.kind is Kind.JSON and path:
        return FieldRef(head, path)
    near = get_close_matches(name.lower(), BY_ANY_NAME, n=1, cutoff=0.6)
    raise QueryError(
        f"There is no field '{name}'.",
        position,
        near[0] if near else None,
        field=source,
    )
