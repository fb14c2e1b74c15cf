"""Create .venv, install what a kind of work needs, then start that work.

It uses only the standard library, because it runs before anything is installed.

    python3 iotplatform/local/setup/bootstrap.py local|dev|test|clean [-- ARGUMENTS]

The arguments go to the Python of .venv.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from iotplatform.local.errors import SetupError
from iotplatform.local.setup.logged import BASE, run_logged
from iotplatform.local.setup.progress import npm_progress, pip_progress, uv_progress
from iotplatform.local.setup.python_version import MINIMUM, NEWEST
from iotplatform.local.steps import say

VENV = BASE / ".venv"
UV = "uv==0.13.9"  # installs in seconds what takes pip more than a minute
# What uv calls the options of pip.
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}
MODULES = BASE / "node_modules"
# The requirements of each kind of work; the larger set includes the smaller one.
LOCAL, DEV = "requirements-local.txt", "requirements-dev.txt"
SETS = {"local": LOCAL, "dev": DEV, "test": DEV}
MADE_BY_US = (
    ".venv node_modules var .mypy_cache .ruff_cache .pytest_cache "
    ".import_linter_cache .hypothesis test-results"
).split()


def check_venv(find: Callable[[str], object]) -> None:
    """Refuse a Python without venv or ensurepip, which Debian packages separately."""
    missing = [name for name in ("venv", "ensurepip") if find(name) is None]
    if missing:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupError(
            f"This Python ({sys.executable}) has no module {' and no '.join(missing)}. "
            f"On Debian or Ubuntu: apt-get install python{version}-venv (or "
            "python3-venv). Elsewhere install a complete Python, or choose another "
            "one: make PYTHON=/path/to/python3 demo"
        )


def fingerprint(*paths: Path) -> str:
    """A hash over files, and over all requirements files that they include."""
    digest = hashlib.sha256()
    todo = list(paths)
    while todo:
        path = todo.pop(0)
        text = path.read_text()
        digest.update(text.encode())
        for line in text.splitlines():
            if line.startswith("-r "):
                todo.append(path.parent / line.removeprefix("-r ").strip())
    return digest.hexdigest()


def _is_installed(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text() == wanted


def ensure_venv(venv: Path = VENV) -> Path:
    """Create .venv, also in place of a broken one; return its Python."""
    python = venv / "bin" / "python"
    if python.exists():
        probe = f"import sys, pip; sys.exit(sys.version_info < {MINIMUM})"
        asked = subprocess.run([python, "-c", probe], capture_output=True, check=False)
        if asked.returncode == 0:
            return python
        say(f"{venv} is broken or uses an old Python: creating it again.")
        shutil.rmtree(venv)
    check_venv(importlib.util.find_spec)
    run_logged(
        f"Virtual environment with Python {_version(sys.version_info)}",
        [sys.executable, "-m", "venv", str(venv)],
        log="venv",
        failure="Cannot create the virtual environment",
    )
    return python


def _version(version: Sequence[object]) -> str:
    return ".".join(map(str, version[:2]))


def _newer_python(python: Path) -> str:
    """A hint for a Python that came out after the pinned versions of the packages."""
    probe = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", probe], capture_output=True, check=False)
    found = tuple(map(int, done.stdout.split()))
    if found <= NEWEST:
        return ""
    return (
        f" for Python {_version(found)}: the packages are pinned for Python"
        f" {_version(MINIMUM)} to {_version(NEWEST)}. Choose one of these, for example"
        f" make PYTHON=python{_version(NEWEST)} demo, after make clean"
    )


def uv_environment(python: Path) -> dict[str, str]:
    """The environment for uv: what pip is told about registries holds for it too."""
    listed = subprocess.run(
        [python, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    )
    # Not linked: the cache may be on another disk.
    environment = {"UV_LINK_MODE": "copy"}
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        if name := UV_NAMES.get(key.rpartition(".")[2]):
            environment[name] = " ".join(value.strip("'\"").split())
    return environment | os.environ


def ensure_packages(python: Path, requirements: str) -> None:
    """Install one set of requirements, unless exactly this set is installed."""
    wanted = fingerprint(BASE / requirements)
    stamp = VENV / f".installed-{requirements}"
    if _is_installed(stamp, wanted):
        return
    failure = f"pip could not install {requirements}{_newer_python(python)}"
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    pip += ["--require-virtualenv", "--progress-bar", "off"]
    title = "Installing packages"
    try:
        uv = [str(python.parent / "uv"), "pip", "install", "--python", str(python)]
        run_logged(
            title,
            [*pip, UV],
            [*uv, "-r", requirements],
            log="uv",
            failure="uv could not install them",
            progress=uv_progress(VENV),
            environment=uv_environment(python),
        )
    except SetupError:  # pip knows more kinds of registries
        run_logged(
            f"{title} with pip",
            [*pip, "-r", requirements],
            log="pip",
            failure=failure,
            progress=pip_progress(VENV),
        )
    stamp.write_text(wanted)
    if requirements != LOCAL:
        (VENV / f".installed-{LOCAL}").write_text(fingerprint(BASE / LOCAL))


def npm_environment(python: Path) -> dict[str, str]:
    """The environment to run npm in: the machine's npm, else the one in .venv."""
    if shutil.which("npm") and shutil.which("node"):
        return dict(os.environ)
    path = f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return os.environ | {"PATH": path}


def ensure_front_end(python: Path) -> None:
    """Install the front-end libraries, in exactly the locked versions."""
    wanted = fingerprint(BASE / "package.json", BASE / "package-lock.json")
    stamp = MODULES / ".installed"
    if _is_installed(stamp, wanted):
        return
    # They need no install scripts, so none may run.
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    run_logged(
        "Installing front-end libraries",
        npm,
        log="npm",
        failure="npm could not install the front-end libraries",
        progress=npm_progress(BASE / "package-lock.json", MODULES),
        environment=npm_environment(python),
    )
    stamp.write_text(wanted)


def clean() -> None:
    """Remove what the make targets created. Raises SetupError if a stack uses ./var."""
    lock = BASE / "var" / "run" / "lock"
    if lock.exists():
        import fcntl

        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise SetupError(
                    "The platform is running on ./var. Stop it first."
                ) from error
    for name in MADE_BY_US:
        path = BASE / name
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            say(f"Removing {name}")
            shutil.rmtree(path)


def prepare(kind: str) -> Path:
    """Install everything that this kind of work needs; return the Python to use."""
    python = ensure_venv()
    with ThreadPoolExecutor(1) as beside:
        system = None
        if kind == "test":
            from iotplatform.local.setup.test_packages import ensure_test_packages

            # Beside pip, which keeps one core busy for a minute.
            system = beside.submit(ensure_test_packages)
        ensure_packages(python, SETS[kind])
        ensure_front_end(python)
        if system is not None:
            system.result()
    return python


def main(arguments: Sequence[str]) -> int:
    """Prepare, then replace this process by the Python of the virtual environment."""
    kind, rest = arguments[0], list(arguments[2:])
    try:
        if kind == "clean":
            clean()
            return 0
        python = prepare(kind)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    os.chdir(BASE)
    # A dozen processes start from the same sources: each would compile all of them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # The same process, so that a signal reaches the work.
    os.execv(python, [str(python), *rest])
