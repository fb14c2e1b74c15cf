"""What `make lint`, `make test`, `make test-long` and `make bench` run."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from iotplatform.local.steps import Step, say

BASE = Path(__file__).resolve().parent.parent.parent.parent
BIN = Path(sys.executable).parent
CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy", "."],
    "import contracts": ["lint-imports"],
    "migrations": [
        "python",
        "-Wi",
        "manage.py",
        "makemigrations",
        "--check",
        "--dry-run",
    ],
}
# Beside the checks, since it compiles the tests once for the processes that run them.
COLLECTION = {"that all tests load": ["pytest", "--collect-only", "-qq"]}
# tests/conftest.py says in which order, and what one process runs as a whole. One more
# process than cores, since those that start a platform or kill one mostly wait.
IN_PARALLEL = ["-n", str(min(1 + (os.cpu_count() or 1), 6))]


def _call(command: Sequence[str]) -> int:
    program, *arguments = command
    return subprocess.call(
        [str(BIN / program), *arguments], cwd=BASE, stdin=subprocess.DEVNULL
    )


def lint(checks: dict[str, list[str]] = CHECKS) -> int:
    """Run every check, side by side, also if one fails; return 1 if any failed."""
    # The checks need no database, but Django needs a key to start.
    key = os.environ.get("SECRET_KEY") or secrets.token_urlsafe(50)
    with ThreadPoolExecutor(len(checks)) as threads:
        done = [
            threads.submit(_check, name, command, os.environ | {"SECRET_KEY": key})
            for name, command in checks.items()
        ]
    outputs = {
        name: check.result()
        for name, check in zip(checks, done, strict=True)
        if check.result()
    }
    for name, output in outputs.items():
        say(f"--- {name}\n{output.rstrip()}")
    say(f"--- failed: {', '.join(outputs)}" if outputs else "  All checks passed.")
    return 1 if outputs else 0


def _check(name: str, command: Sequence[str], environment: dict[str, str]) -> str:
    """Run one check to its end; return its output if it failed, else nothing.

    All of it, not its end as for others' tools: it says what to mend.
    """
    program, *arguments = command
    with Step(f"Checking {name}"):
        done = subprocess.run(
            [str(BIN / program), *arguments],
            cwd=BASE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            check=False,
        )
    return (done.stdout or "(no output)") if done.returncode else ""


def test(arguments: Sequence[str], *options: str) -> int:
    """Run the checks first, because they take seconds, then the tests."""
    return lint(CHECKS | COLLECTION) or _call(
        ["pytest", *IN_PARALLEL, *options, *arguments]
    )


def _benchmarks() -> list[str]:
    """The modules of bench/ that write a report; the others are helpers."""
    files = sorted((BASE / "bench").glob("*.py"))
    return [f.stem for f in files if "import Figure, write_report" in f.read_text()]


def bench(arguments: Sequence[str]) -> int:
    """Run the named benchmarks, or all; each writes ``var/bench/<name>.json``."""
    status = 0
    for name in arguments or _benchmarks():
        print(f"--- {name}", flush=True)
        status = _call(["python", "-m", f"bench.{name}"]) or status
    return status


def main(arguments: Sequence[str]) -> int:
    what, rest = arguments[0], arguments[1:]
    if what == "lint":
        return lint()
    if what == "bench":
        return bench(rest)
    return test(rest, *(["--long"] if what == "test-long" else []))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
