"""The console of a lab, as browsers ask it: a real web process and sessions."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import requests

from bench.lab import BASE, SECRET, Lab, until
from iotplatform.local.ports import LOOPBACK, answers, free_port
from iotplatform.local.programs import WEB_THREADS
from iotplatform.local.valkey import Valkey

PERSON, PASSWORD = "viewer", "bench-password-of-nobody"
WEB = [sys.executable, "-m", "gunicorn", "iotplatform.wsgi:application"]
WEB += ["--worker-class", "gthread", "--workers", "1", "--threads", str(WEB_THREADS)]


class Website:
    """One web process beside a cache, and a superuser who may see everything."""

    def __init__(self, lab: Lab) -> None:
        valkey = Valkey.at(lab.folder / "valkey", port=free_port(), password=SECRET)
        valkey.prepare()
        lab.start("valkey", valkey.command(dies_by="TERM"))
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        redis = f"redis://:{SECRET}@{LOOPBACK}:{valkey.port}/0"
        person = {
            "DJANGO_SUPERUSER_USERNAME": PERSON,
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "DJANGO_SUPERUSER_EMAIL": "viewer@bench.example",
        }
        environment = lab.environment | {"REDIS_URL": redis, "DATABASE_ROLE": ""}
        for command in ("createsuperuser", "collectstatic"):
            subprocess.run(
                [sys.executable, "-Wi", "manage.py", command, "--no-input"],
                cwd=BASE,
                env=environment | person,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        wanted = {"REDIS_URL": redis, "DATABASE_ROLE": "iot_web", "DATABASE_POOL": "1"}
        web = [*WEB, "--bind", f"{LOOPBACK}:{port}"]
        lab.start("web", web, **wanted)
        until(lambda: answers(LOOPBACK, port), "the web process")

    def sign_in(self) -> requests.Session:
        """Return the session of a browser that has signed in."""
        browser = requests.Session()
        page = browser.get(f"{self.url}/accounts/login/", timeout=60).text
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found, page[:500]
        fields = {
            "login": PERSON,
            "password": PASSWORD,
            "csrfmiddlewaretoken": found[1],
        }
        answer = browser.post(f"{self.url}/accounts/login/", fields, timeout=60)
        assert answer.ok, answer.text[:500]
        assert "/accounts/" not in answer.url, answer.url
        return browser

    def look(
        self, paths: Sequence[str], *, viewers: int, each: int, every: float
    ) -> dict[str, list[float]]:
        """Return the seconds of every page, ascending, with so many people at once.

        Each person opens the next page ``every`` seconds after the one before.
        """
        browsers = [self.sign_in() for _ in range(viewers)]
        for path in paths:  # the first one loads templates
            self._open(browsers[0], path)
        took: dict[str, list[float]] = {path: [] for path in paths}

        def work(number: int) -> None:
            began = time.monotonic() + every * number / viewers
            for turn, path in enumerate([*paths] * each):
                time.sleep(max(0.0, began + every * turn - time.monotonic()))
                took[path].append(self._open(browsers[number], path))

        with ThreadPoolExecutor(viewers) as pool:
            list(pool.map(work, range(viewers)))
        return {path: sorted(seconds) for path, seconds in took.items()}

    def _open(self, browser: requests.Session, path: str) -> float:
        began = time.perf_counter()
        answer = browser.get(self.url + path, timeout=60)
        assert answer.status_code == 200, (path, answer.status_code)
        return time.perf_counter() - began
