"""Latencies as a histogram: buckets that grow by a factor, and percentiles; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

# So a percentile is at most half of this share wrong.
FACTOR = 1.05
# The bucket of an attempt, as bucket_of() has it. Bucket n holds FACTOR^n to
# FACTOR^(n + 1) milliseconds; the first all below.
BUCKET_SQL = f"""
    floor(ln(greatest(EXTRACT(EPOCH FROM received_at - sent_at) * 1000, 1))
        / ln({FACTOR}))::int
"""


def bucket_of(milliseconds: float) -> int:
    return math.floor(math.log(max(milliseconds, 1)) / math.log(FACTOR))


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """Return the milliseconds that this share of the values does not exceed."""
    wanted = share * sum(counts.values())
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted:
            return float(FACTOR ** (bucket + 0.5))
    return None
