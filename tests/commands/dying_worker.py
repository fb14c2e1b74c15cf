"""A worker of the periodic tasks that kills itself before its nth statement.

It reads n from its input, a line a run, and answers "killed" or "done". Each run is a
process of its own with its own connection.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django
import psycopg


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


def main() -> None:
    django.setup()
    from commands.tasks import advance_jobs, process_due, tidy

    for line in sys.stdin:
        child = os.fork()
        if not child:
            die_before(int(line))
            for task in (advance_jobs, process_due, tidy):
                task.run()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
            sys.exit("a run failed")
        print("killed" if os.WIFSIGNALED(status) else "done", flush=True)


if __name__ == "__main__":
    main()
