"""How each shown value of a device is known: fact, reported or judged."""

from __future__ import annotations

from typing import Any

from state.choices import Cause, KnownBy
from state.models import Twin

CONNECTIVITY_RULE = "the connectivity rules"
DELTA_RULE = "desired keys whose reported value differs"
RISK_RULE = "the risk weights"
DIAGNOSIS_RULE = "devices that share a trait, compared with the rest of the fleet"
ALARM_RULE = "a threshold rule"
Known = dict[str, Any]


def known_by(shown: dict[str, Any], twin: Twin | None) -> dict[str, Known]:
    """Return how each shown value is known, by the path of the value."""
    known = _presence(shown["presence"]) | _twin(twin)
    for metric, row in shown["telemetry"].items():
        known[f"telemetry.{metric}"] = _reported(row["at"])
    for row in shown["alarms"]:
        known[f"alarms.{row['id']}"] = _alarm(row)
    for name, rule in (("risk", RISK_RULE), ("diagnosis", DIAGNOSIS_RULE)):
        if shown[name] is not None:
            known[name] = _judged(rule, shown[name]["at"])
    return known


def _presence(row: dict[str, Any]) -> dict[str, Known]:
    why = f": {Cause(row['cause']).label}" if row["cause"] else ""
    judged = _judged(f"{CONNECTIVITY_RULE}{why}", row["since"])
    known = dict.fromkeys(
        ("presence.connectivity", "presence.since", "presence.cause"), judged
    )
    # Times of arrival by the platform's clock, so they are facts.
    for name in ("last_seen_at", "last_activity_at"):
        known[f"presence.{name}"] = _of(KnownBy.FACT, at=row[name])
    return known


def _twin(twin: Twin | None) -> dict[str, Known]:
    if twin is None:
        return {}
    wanted = _of(KnownBy.FACT, at=twin.desired_at)
    reported = _reported(twin.reported_at)
    newest = max(filter(None, (twin.desired_at, twin.reported_at)), default=None)
    return {
        "twin.desired": wanted,
        "twin.desired_version": wanted,
        "twin.reported": reported,
        "twin.reported_version": reported,
        "twin.delta": _judged(DELTA_RULE, newest),
    }


def _alarm(row: dict[str, Any]) -> Known:
    """Return judged for an alarm that a rule raised, else reported by the device."""
    if row.get("rule"):
        return _judged(f"{ALARM_RULE}: {row['rule']}", row["raised_at"])
    return _reported(row["raised_at"])


def _reported(at: Any) -> Known:
    return _of(KnownBy.REPORTED, at=at)


def _judged(rule: str, at: Any) -> Known:
    return _of(KnownBy.JUDGED, rule=rule, at=at)


def _of(kind: KnownBy, *, rule: str | None = None, at: Any = None) -> Known:
    return {"kind": kind.value, "rule": rule, "at": at}
