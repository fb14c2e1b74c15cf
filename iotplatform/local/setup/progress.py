"""How far uv, pip, npm and apt are, by what they write and have installed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

PIP_INSTALLS = re.compile(r"^Installing collected packages: (.+)$", re.MULTILINE)
PIP_FINDS = re.compile(r"^ *Collecting ([\w.-]+)", re.MULTILINE)
# Option APT::Status-Fd: "dlstatus:" while it downloads, then "pmstatus:".
APT_STATUS = re.compile(r"^(dl|pm)status:[^:]*:([\d.]+):", re.MULTILINE)


UV_PREPARES = re.compile(r"^Resolved (\d+) packages", re.MULTILINE)


def _installed(venv: Path) -> int:
    """Each package has a folder of its own that tells its version."""
    return sum(1 for _ in venv.glob("lib/python*/site-packages/*.dist-info"))


def uv_progress(venv: Path) -> Callable[[str], str]:
    """uv counts all packages before it fetches and installs them."""

    def progress(output: str) -> str:
        if found := UV_PREPARES.search(output):
            return f"{min(_installed(venv), int(found[1]))} of {found[1]}"
        return ""

    return progress


def pip_progress(venv: Path) -> Callable[[str], str]:
    """pip names all packages before it installs them."""
    before = _installed(venv)

    def progress(output: str) -> str:
        if found := PIP_INSTALLS.search(output):
            total = found[1].count(",") + 1
            return f"{max(0, min(_installed(venv) - before, total))} of {total}"
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
