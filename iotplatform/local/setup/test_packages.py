"""System packages that only the tests need: a browser, a broker, its clients."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iotplatform.local.errors import SetupError
from iotplatform.local.setup.logged import run_logged
from iotplatform.local.setup.progress import apt_progress
from iotplatform.local.steps import say

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
INSTALL += ["-o", "APT::Status-Fd=1"]  # its progress, in lines that can be read


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


def ensure_test_packages() -> None:
    """Install missing packages as root on Debian or Ubuntu; elsewhere print them."""
    missing = _wanted_packages()
    if not missing:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        with _no_services():
            if others := [package for package in missing if package != BROWSER]:
                _install(*others)
            # By itself: not every distribution has the small one.
            if BROWSER in missing and not _install(BROWSER) and not find_browser():
                _install("chromium")
        if "mosquitto" in missing and shutil.which("systemctl"):
            # It must not use port 1883 after the next boot either.
            subprocess.run(
                ["systemctl", "disable", "mosquitto"], capture_output=True, check=False
            )
    if missing := missing_packages():
        say(f"Not installed: {', '.join(missing)}. Tests that need them are skipped.")


def _install(*packages: str) -> bool:
    """Install packages; where that fails, say so and return False.

    What needs none of them can still be tested.
    """
    try:
        run_logged(
            f"Installing {', '.join(packages)}",
            ["apt-get", "update", "-q"],
            [*INSTALL, *packages],
            log=f"apt-{packages[0]}",
            failure="apt-get failed",
            progress=apt_progress,
            environment=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )
    except SetupError as error:
        say(str(error))
        return False
    return True


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
