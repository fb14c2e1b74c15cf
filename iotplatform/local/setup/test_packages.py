"""System packages that only the tests need: a browser, a broker, its clients."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

BROWSER = "chromium-headless-shell"
# Debian packages, and the programs of which one must be there. The browser without
# windows takes less than half of the time of the whole one, which will do too.
PACKAGES = {
    BROWSER: (BROWSER, "chromium"),
    "mosquitto": ("mosquitto",),
    "mosquitto-clients": ("mosquitto_pub",),
}
# Playwright's driver needs it, and a minimal Debian does not have it.
LIBRARIES = {"libatomic1": "libatomic.so.1"}
INSTALL = ["apt-get", "install", "-q", "-y", "--no-install-recommends"]


def find_program(package: str) -> str | None:
    """Return the path of the best program of a package; None where it has none."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    found = (shutil.which(program, path=path) for program in PACKAGES[package])
    return next(filter(None, found), None)


def find_browser() -> str | None:
    return find_program(BROWSER)


def missing_packages() -> list[str]:
    """The packages whose programs or libraries are missing."""
    programs = [package for package in PACKAGES if not find_program(package)]
    return programs + [name for name, file in LIBRARIES.items() if not _loads(file)]


def _wanted_packages() -> list[str]:
    """The missing packages, and the one for which a slower program stands in."""
    browser = [] if shutil.which(BROWSER) else [BROWSER]
    return sorted({*missing_packages(), *browser})


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def ensure_test_packages(say: Callable[[str], None]) -> None:
    """Install missing packages as root on Debian or Ubuntu; elsewhere print them."""
    missing = _wanted_packages()
    if not missing:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"Installing {', '.join(missing)} with apt-get ...")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        with _no_services():
            run = partial(subprocess.call, env=environment, stdin=subprocess.DEVNULL)
            run(["apt-get", "update", "-q"])
            if others := [package for package in missing if package != BROWSER]:
                run([*INSTALL, *others])
            # By itself: not every distribution has the small one.
            if BROWSER in missing and run([*INSTALL, BROWSER]) and not find_browser():
                run([*INSTALL, "chromium"])
        if "mosquitto" in missing and shutil.which("systemctl"):
            # It must not use port 1883 after the next boot either.
            subprocess.run(
                ["systemctl", "disable", "mosquitto"], capture_output=True, check=False
            )
    if missing := missing_packages():
        say(f"Not installed: {', '.join(missing)}. Tests that need them are skipped.")


@contextmanager
def _no_services() -> Iterator[None]:
    """Prevent packages from starting services: Mosquitto's would use port 1883.

    Uses Debian's policy-rc.d; an existing policy stays in force.
    """
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
