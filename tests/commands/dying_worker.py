"""A worker of the periodic tasks that kills itself before its nth statement.

Its arguments name the tasks. It reads n from its input, a line a run, and answers
"killed" or "done". Each run is a process of its own with its own connection.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django
import psycopg
from django.utils.module_loading import import_string


def die_before(nth: int) -> None:
    """Die by SIGKILL before the nth statement; a commit is one, too."""
    left = nth

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return called

    psycopg.Cursor.execute = counting(psycopg.Cursor.execute)  # type: ignore[method-assign]
    psycopg.Connection.commit = counting(psycopg.Connection.commit)  # type: ignore[method-assign]


@contextmanager
def dying_worker(*tasks: str, url: str) -> Iterator[Callable[[int], str]]:
    """Start a worker on the database at ``url``; what is called runs its tasks once.

    It takes n and returns the worker's answer.
    """
    worker = subprocess.Popen(
        [sys.executable, "-m", __name__, *tasks],
        env=os.environ
        | {
            "DATABASE_URL": url,
            "DATABASE_ROLE": "iot_worker",
            "DJANGO_SETTINGS_MODULE": "iotplatform.settings",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None

    def run(nth: int) -> str:
        assert worker.stdin is not None
        assert worker.stdout is not None
        print(nth, file=worker.stdin, flush=True)
        answer = worker.stdout.readline().strip()
        assert answer in ("killed", "done")
        return answer

    yield run
    worker.stdin.close()
    worker.wait()


def main() -> None:
    django.setup()
    tasks = [import_string(name) for name in sys.argv[1:]]
    for line in sys.stdin:
        child = os.fork()
        if not child:
            die_before(int(line))
            for task in tasks:
                task.run()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
            sys.exit("a run failed")
        print("killed" if os.WIFSIGNALED(status) else "done", flush=True)


if __name__ == "__main__":
    main()
