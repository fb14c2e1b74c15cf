"""A real gunicorn in a separate process, on the database of the test."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from iotplatform.local.accounts import dying_with_parent
from iotplatform.local.ports import answers, free_port
from iotplatform.local.programs import GUNICORN, WEB_APPLICATION
from tests.adapters.bridge_process import BASE, database_url
from tests.waiting import wait_until


@contextmanager
def web_process(
    *, application: str = WEB_APPLICATION, **environment: str
) -> Iterator[int]:
    """Serve the application; give the port."""
    port = free_port()
    words = [*GUNICORN, application, "--bind", f"127.0.0.1:{port}", "--threads", "2"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            words,
            cwd=BASE,
            env=os.environ | {"DATABASE_URL": database_url(), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=dying_with_parent(signal.SIGTERM),
        )
        try:
            wait_until(
                lambda: answers("127.0.0.1", port) or process.poll() is not None,
                what="gunicorn",
            )
            assert process.poll() is None, log.seek(0) or log.read()
            yield port
        finally:
            process.terminate()
            process.wait(20)
