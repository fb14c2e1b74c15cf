"""The platform's own figures for GET platform/ and /metrics; no data of tenants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from commands.selectors.delivery_stats import (
    adapter_latencies,
    queue_depths_across_tenants,
)
from fleet.selectors.lag import count_marks, get_index_status_and_slots
from state.selectors.adapter_liveness import ingest_figures, list_slots
from state.selectors.platform import dead_letter_figures


def platform_figures() -> dict[str, Any]:
    """Return the answer of ``GET platform/``."""
    now = timezone.now()
    index, slots = get_index_status_and_slots()
    ingest = ingest_figures(now, slots)
    return {
        "ingest": {"rate": ingest.rate, "lag_seconds": ingest.lag_seconds},
        "index": {"lag_seconds": index.lag_seconds if index.generation else None},
        "queues": queue_depths_across_tenants() | count_marks(),
        "dead_letters": dead_letter_figures(),
        "adapters": adapter_latencies(now=now),
    }


class PlatformCollector(Collector):
    """The figures for Prometheus; each scrape reads them again."""

    def describe(self) -> list[Metric]:
        """Return nothing: registering must not query the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every known figure."""
        figures = platform_figures()
        yield from _ingest(figures["ingest"])
        yield _gauge(
            "iot_index_lag_seconds",
            "Age of the oldest change that searches do not find yet.",
            figures["index"]["lag_seconds"],
        )
        depths = GaugeMetricFamily(
            "iot_queue_depth",
            "Waiting work: commands by status, risk marks, index outbox.",
            labels=["queue"],
        )
        for queue, depth in figures["queues"].items():
            depths.add_metric([queue], depth)
        yield depths
        letters = CounterMetricFamily(
            "iot_dead_letters", "Messages that were refused.", labels=["reason"]
        )
        for reason, total in figures["dead_letters"]["by_reason"].items():
            letters.add_metric([reason], total)
        yield letters
        yield from _latencies(figures["adapters"])


def _ingest(figures: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge("iot_ingest_rate", "Messages per second.", figures["rate"])
    yield _gauge(
        "iot_ingest_lag_seconds",
        "Time from arrival to commit, of the slowest slot.",
        figures["lag_seconds"],
    )
    messages = CounterMetricFamily(
        "iot_ingest_messages", "Ingested messages.", labels=["slot"]
    )
    for slot in list_slots():
        messages.add_metric([str(slot.slot)], slot.messages)
    yield messages


def _latencies(adapters: dict[str, dict[str, float | None]]) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "iot_adapter_latency_seconds",
        "Time from sent to received, in the last hour.",
        labels=["adapter", "quantile"],
    )
    for adapter, figures in adapters.items():
        for quantile, name in (("0.5", "latency_p50_ms"), ("0.95", "latency_p95_ms")):
            value = figures[name]
            if value is not None:
                family.add_metric([adapter, quantile], value / 1_000)
    yield family


def _gauge(name: str, documentation: str, value: float | None) -> Metric:
    """Return a gauge; without a sample if the value is unknown."""
    family = GaugeMetricFamily(name, documentation)
    if value is not None:
        family.add_metric([], value)
    return family
