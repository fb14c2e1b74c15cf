"""How long the trial of a rule on the last week takes with a large fleet.

A week of one metric is 2,016 buckets per device, and the trial reads a sample of 1,000
devices: about two million buckets. The baseline reads the same buckets with the ORM and
judges them one by one. On a product with few devices both must find the same number of
alarms.
"""

from __future__ import annotations

import argparse
import os
import statistics
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.lab import BASE, Lab, open_lab
from bench.report import Figure, write_report
from bench.risk import timed
from bench.sweep import connect, fill

if TYPE_CHECKING:
    from registry.models import Product
    from state.selectors.rule_trial import Trial

FEW = 100  # devices of the product that the baseline reads
ROUNDS = 5
MOVE_FEW = """
    WITH second AS (
        INSERT INTO registry_product (public_id, tenant_id, slug, name, kind,
            attributes_schema, metrics, reported_keys, heartbeat_seconds,
            takes_commands, created_at)
        SELECT gen_random_uuid(), tenant_id, 'bench-p2', name, kind,
            attributes_schema, metrics, reported_keys, heartbeat_seconds,
            takes_commands, created_at
        FROM registry_product RETURNING id
    )
    UPDATE registry_device d SET product_id = second.id FROM second
    WHERE d.id IN (SELECT id FROM registry_device ORDER BY id LIMIT %s)
"""
# Devices of the sample, others that it leaves out, and the few of the baseline. The
# temperature rises and falls each day, with some randomness, so that it sometimes
# crosses a threshold.
BUCKETS = """
    INSERT INTO state_telemetryrollup (device_id, metric, step, at, tenant_id, minimum,
        maximum, total, count, last, last_at)
    SELECT d.id, 'temperature', 300, at, d.tenant_id, v - 1, v + 1, v * 5, 5, v, at
    FROM (
        (SELECT d.id, d.tenant_id FROM registry_device d
            JOIN registry_product p ON p.id = d.product_id AND p.slug = 'bench-p1'
            ORDER BY hashint8(d.id), d.id LIMIT %s)
        UNION ALL
        SELECT d.id, d.tenant_id FROM registry_device d
            JOIN registry_product p ON p.id = d.product_id AND p.slug = 'bench-p2'
    ) d,
    generate_series(%s::timestamptz, %s::timestamptz, interval '5 minutes') AS at,
    LATERAL (SELECT 20 + 10 * sin(extract(epoch FROM at) / 13750 + d.id)
        + 4 * random() AS v) AS value
    ORDER BY d.id, at
"""


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--measured", type=int, default=5_000)
    options = parser.parse_args()
    with open_lab() as lab:
        lab.load_django()
        report(lab, options.devices, options.measured)


def report(lab: Lab, devices: int, measured: int) -> None:
    """Measure in one lab and write the report."""
    from registry.models import Product
    from state.choices import Comparison
    from state.selectors.rule_trial import Trial, try_rule

    now = datetime.now(UTC).replace(second=0, microsecond=0)
    fill(lab, devices, now)
    store_buckets(lab, measured, now)
    trial = Trial(
        "temperature", Comparison.ABOVE, 32.0, hold_seconds=600, hysteresis=2.0
    )
    large, small = (Product.objects.get(slug=slug) for slug in ("bench-p1", "bench-p2"))
    found = try_rule(large, trial, now=now)
    raises, buckets, by_one = one_by_one(small, trial, now)
    of_few = try_rule(small, trial, now=now)["raises"]
    if of_few != raises:
        raise SystemExit(f"The trial finds {of_few} alarms, the baseline {raises}.")
    tried = found["devices"]["tried"]
    durations = [timed(lambda: try_rule(large, trial, now=now)) for _ in range(ROUNDS)]
    middle = statistics.median(durations)
    write_report(
        "rule_trial",
        figures=[
            Figure("a trial, median", middle, "s"),
            Figure("a trial, longest", max(durations), "s"),
            Figure("buckets read", buckets / FEW * tried / middle, "per s"),
            Figure("alarms found", found["raises"], ""),
        ],
        ratio=by_one / FEW * tried / middle,
        baseline=f"ORM rows, judged one by one (measured on {FEW} devices)",
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={
            "devices": devices,
            "measured": measured,
            "tried": tried,
            "load_average": os.getloadavg()[0],
        },
    )


def store_buckets(lab: Lab, measured: int, now: datetime) -> None:
    """Store a week of five-minute buckets, one day at a time."""
    from iotplatform.common.partitions import ensure_partitions

    for days in range(8):
        ensure_partitions("state_telemetryrollup", today=(now - timedelta(days)).date())
    # Whole buckets, so that every moment of the week is in one.
    first = now - timedelta(days=7, minutes=now.minute % 5 - 5)
    with connect(lab) as database:
        database.execute("SET session_replication_role = replica")
        database.execute(MOVE_FEW, [FEW])
        for day in range(7):
            begin = first + timedelta(days=day)
            end = begin + timedelta(days=1, minutes=-5)
            database.execute(BUCKETS, [measured, begin, end])
    with connect(lab) as database:
        database.autocommit = True
        database.execute("VACUUM ANALYZE")


def one_by_one(product: Product, trial: Trial, now: datetime) -> tuple[int, int, float]:
    """Return the alarms that a loop finds, the buckets that it reads, its seconds."""
    from state.choices import RollupStep
    from state.models import TelemetryRollup
    from state.selectors.rule_trial import WEEK
    from state.services.alarms.thresholds import Threshold, is_beyond

    rule = Threshold(
        product.pk,
        trial.metric,
        trial.comparison,
        trial.threshold,
        trial.hysteresis,
        trial.hold_seconds,
        severity="warning",
        code="",
    )
    hold = timedelta(seconds=rule.hold_seconds)
    raises = buckets = 0

    def loop() -> None:
        nonlocal raises, buckets
        beyond_since: dict[int, datetime | None] = {}
        for row in TelemetryRollup.objects.filter(
            device__product=product,
            metric=rule.metric,
            step=RollupStep.FIVE_MINUTES,
            at__gte=now - WEEK,
            at__lt=now,
        ).order_by("device_id", "at"):
            buckets += 1
            since = beyond_since.get(row.device_id)
            verdict = is_beyond(rule, row.maximum)
            if verdict is True and since is None:
                beyond_since[row.device_id] = row.at
            elif verdict is False and since is not None:
                raises += row.at - since >= hold
                beyond_since[row.device_id] = None
        raises += sum(
            since is not None and now - since >= hold for since in beyond_since.values()
        )

    seconds = timed(loop)
    return raises, buckets, seconds


if __name__ == "__main__":
    main()
