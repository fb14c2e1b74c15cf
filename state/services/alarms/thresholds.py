"""What the rules of products say of the values of a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from iotplatform.common import bulk_sql
from state.choices import Comparison
from state.services.alarms.signal import Said
from state.services.presence.evidence import device_time

if TYPE_CHECKING:
    from iotplatform.common.messages import Telemetry
    from state.services.arrivals import Arrival

_RULES = """
    SELECT product_id, metric, comparison, threshold, hysteresis, hold_seconds,
        severity, code, id
    FROM state_alarmrule WHERE enabled AND product_id = ANY(%s) ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A rule, as far as a value needs it."""

    product_id: int
    metric: str
    comparison: str
    threshold: float
    hysteresis: float
    hold_seconds: int
    severity: str
    code: str
    id: int | None = None


def is_beyond(rule: Threshold, value: float) -> bool | None:
    """Whether the value is an alarm; None in the band where it stays what it was."""
    if rule.comparison in (Comparison.ABOVE, Comparison.AT_LEAST):
        distance = value - rule.threshold
    else:
        distance = rule.threshold - value
    may_touch = rule.comparison in (Comparison.AT_LEAST, Comparison.AT_MOST)
    if distance > 0 or (may_touch and distance == 0):
        return True
    return None if -distance < rule.hysteresis else False


def said_by_values(
    arrivals: Sequence[Arrival], late: Collection[tuple[int, str]] = frozenset()
) -> list[Said]:
    """Return what the enabled rules make of a batch; one query for all rules.

    Of a device and rule only the changes and the first word count: a value that is
    beyond the threshold for the hundredth time in a batch says nothing new. What is
    ``late`` (place in the batch, metric) says nothing of now.
    """
    measured = [
        (place, arrival)
        for place, arrival in enumerate(arrivals)
        if arrival.uplink.kind == "telemetry"
    ]
    products = sorted({arrival.device.product_id for _, arrival in measured})
    if not products:
        return []
    rules: dict[int, list[Threshold]] = defaultdict(list)
    for row in bulk_sql.fetch(_RULES, [products]):
        rules[row[0]].append(Threshold(*row))
    said: list[Said] = []
    last: dict[tuple[int, str], bool] = {}
    for place, arrival in measured if rules else ():
        metrics = cast("Telemetry", arrival.uplink.message).metrics
        for rule in rules.get(arrival.device.product_id, ()):
            value = metrics.get(rule.metric)
            if late and (place, rule.metric) in late:
                continue
            verdict = None if value is None else is_beyond(rule, value)
            key = (arrival.device.id, rule.code)
            if verdict is None or last.get(key) == verdict:
                continue
            last[key] = verdict
            said.append(
                Said(
                    device=arrival.device,
                    code=rule.code,
                    severity=rule.severity,
                    is_raised=verdict,
                    message=f"{rule.metric} is {value:g} ({rule.comparison} "
                    f"{rule.threshold:g})",
                    at=device_time(arrival.uplink) or arrival.uplink.at,
                    heard_at=arrival.uplink.at,
                    rule_id=rule.id,
                    hold_seconds=rule.hold_seconds,
                )
            )
    return said
