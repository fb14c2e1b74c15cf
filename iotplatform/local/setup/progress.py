"""How far pip, npm and apt are, by what they write and by what they have installed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

PIP_INSTALLS = re.compile(r"^Installing collected packages: (.+)$", re.MULTILINE)
PIP_FINDS = re.compile(r"^ *Collecting ([\w.-]+)", re.MULTILINE)
# Option APT::Status-Fd: "dlstatus:" while it downloads, then "pmstatus:".
APT_STATUS = re.compile(r"^(dl|pm)status:[^:]*:([\d.]+):", re.MULTILINE)


def pip_progress(venv: Path) -> Callable[[str], str]:
    """pip names all packages before it installs them, each with a folder of its own."""

    def installed() -> int:
        return sum(1 for _ in venv.glob("lib/python*/site-packages/*.dist-info"))

    before = installed()

    def progress(output: str) -> str:
        if found := PIP_INSTALLS.search(output):
            total = found[1].count(",") + 1
            return f"{max(0, min(installed() - before, total))} of {total}"
        names = set(PIP_FINDS.findall(output))
        return f"{len(names)} found" if names else ""

    return progress


def npm_progress(lock: Path, modules: Path) -> Callable[[str], str]:
    """npm installs what its lock file names."""
    names = [name for name in json.loads(lock.read_text())["packages"] if name]
    folders = [modules.parent / name / "package.json" for name in names]
    return lambda output: f"{sum(f.exists() for f in folders)} of {len(folders)}"


def apt_progress(output: str) -> str:
    """The downloads are the first half."""
    states = APT_STATUS.findall(output)
    if not states:
        return ""
    kind, percent = states[-1]
    return f"{(float(percent) + (100 if kind == 'pm' else 0)) / 2:.0f} %"
