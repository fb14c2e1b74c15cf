"""Judge the values of a batch by the alarm rules of their products."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from iotplatform.common import bulk_sql
from state.choices import Comparison
from state.services.alarms.signal import Signal

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
    """The part of a rule that is needed to judge a value."""

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
    """Return whether the value raises the alarm; None within the hysteresis."""
    if rule.comparison in (Comparison.ABOVE, Comparison.AT_LEAST):
        distance = value - rule.threshold
    else:
        distance = rule.threshold - value
    may_touch = rule.comparison in (Comparison.AT_LEAST, Comparison.AT_MOST)
    if distance > 0 or (may_touch and distance == 0):
        return True
    return None if -distance < rule.hysteresis else False


def signals_from_values(
    arrivals: Sequence[Arrival], late: Collection[tuple[int, str]] = frozenset()
) -> list[Signal]:
    """Return the signals of the enabled rules for a batch; one query for all rules.

    A device and rule gives a signal only for its first value and when the verdict
    changes: a hundred values beyond the threshold are one signal. Values in ``late``
    (place in the batch, metric) are old and give none.
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
    signals: list[Signal] = []
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
            text = f"{rule.metric} is {value:g} ({rule.comparison} {rule.threshold:g})"
            signals.append(_signal(arrival, rule, text, is_raised=verdict))
    return signals


def _signal(
    arrival: Arrival, rule: Threshold, message: str, *, is_raised: bool
) -> Signal:
    return Signal(
        device=arrival.device,
        code=rule.code,
        severity=rule.severity,
        is_raised=is_raised,
        message=message,
        at=arrival.uplink.at,
        rule_id=rule.id,
        hold_seconds=rule.hold_seconds,
    )
