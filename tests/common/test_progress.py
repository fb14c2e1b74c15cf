"""What a long command says about its end."""

from __future__ import annotations

from iotplatform.common.progress import Progress


def test_progress_tells_the_share_and_the_time_that_is_left() -> None:
    times = iter([0.0, 1.0, 10.0, 11.0, 600.0, 601.0])
    said: list[str] = []
    progress = Progress(said.append, "documents", clock=lambda: next(times))

    for done in (10, 1_000, 1_100, 60_000, 100_000):
        progress.show(done, 100_000)

    assert said == [
        "1,000 of 100,000 documents (1 %), about 16 min left.",
        "60,000 of 100,000 documents (60 %), about 7 min left.",
    ]
