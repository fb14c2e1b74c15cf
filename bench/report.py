"""The report of a benchmark: ``$IOT_DATA_DIR/bench/<name>.json``, and a few lines."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured value with its unit."""

    name: str
    value: float
    unit: str


def write_report(
    name: str,
    *,
    figures: list[Figure],
    ratio: float,
    baseline: str,
    data_dir: Path,
    rate: Figure | None = None,
    notes: dict[str, Any] | None = None,
) -> Path:
    """Write the figures with machine and commit, print them, and return the file.

    ``rate`` is the figure that people compare without the baseline.
    """
    path = data_dir / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "name": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "ratio": round(ratio, 2),
        "baseline": baseline,
        "rate": asdict(rate) if rate else None,
        "figures": [asdict(figure) for figure in figures],
        "notes": notes or {},
        "machine": describe_machine(),
        "commit": current_commit(),
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    for figure in figures:
        print(f"{figure.name:<44} {figure.value:>12,.1f} {figure.unit}")
    beside = f", {rate.value:,.0f} {rate.unit}" if rate else ""
    print(f"{name}: {ratio:.1f} times {baseline}{beside}; written to {path}")
    return path


def describe_machine() -> dict[str, Any]:
    """Return what a reader needs to know to compare figures."""
    return {
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def current_commit() -> str:
    """Return the commit of the checkout, marked if it has changes; '' without Git."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
