"""An adapter that was stopped beyond its lease changes nothing when it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import IO, Any

import pytest

from commands.models import Attempt, Command, CommandEvent
from commands.services.actions import cancel_command
from iotplatform.local.accounts import dying_with_parent
from tests.adapters.bridge_process import BASE, database_url
from tests.commands.units import Unit, ask, deliver, fresh, now, online_unit, sweep

pytestmark = pytest.mark.django_db(transaction=True)
TRIALS, TRIALS_AT_FULL_SIZE = 16, 200
REPORTS = ("sent", "not sent", "released")


@pytest.fixture
def adapter() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.commands.stopping_adapter"],
        cwd=BASE,
        env=os.environ
        | {"DATABASE_URL": database_url(), "DATABASE_ROLE": "iot_bridge"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=dying_with_parent(signal.SIGKILL),
    )
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def sends(unit: Unit, command: Command, at: datetime) -> None:
    assert len(deliver(at=at)) == 1


def executes(unit: Unit, command: Command, at: datetime) -> None:
    sends(unit, command, at)
    unit.acknowledge(command, at=at)
    unit.result(command, at=at)


def fails(unit: Unit, command: Command, at: datetime) -> None:
    sends(unit, command, at)
    unit.result(command, "failed", at=at)


def cancels(unit: Unit, command: Command, at: datetime) -> None:
    cancel_command(command=command, actor=None, reason="", now=at)


def expires(unit: Unit, command: Command, at: datetime) -> None:
    sweep(at + timedelta(days=2))


def requeues(unit: Unit, command: Command, at: datetime) -> None:
    """Leave it queued: the next adapter has not come yet."""


OTHERS: tuple[Callable[[Unit, Command, datetime], None], ...] = (
    sends,
    executes,
    fails,
    cancels,
    expires,
    requeues,
)


def stored(command: Command) -> list[Any]:
    """Return all that is stored of a command."""
    return [
        list(Command.objects.filter(pk=command.pk).values()),
        list(Attempt.objects.filter(command=command).order_by("pk").values()),
        list(CommandEvent.objects.filter(command=command).order_by("pk").values()),
    ]


def number(line: IO[str] | None) -> int:
    assert line is not None
    return int(line.readline())


def test_a_stopped_adapter_writes_nothing_after_its_lease(
    adapter: subprocess.Popen[str], is_long: bool
) -> None:
    unit = online_unit()
    assert adapter.stdin is not None
    stale = []
    for trial in range(TRIALS_AT_FULL_SIZE if is_long else TRIALS):
        command = ask(unit)
        report = REPORTS[trial % len(REPORTS)]
        adapter.stdin.write(f"{report}\n")
        adapter.stdin.flush()
        assert number(adapter.stdout) == 1
        os.waitpid(adapter.pid, os.WUNTRACED)

        lease_is_over = now() + timedelta(seconds=2)
        sweep(lease_is_over)
        assert fresh(command).claim_token is None
        again = lease_is_over + timedelta(minutes=2)
        OTHERS[trial % len(OTHERS)](unit, command, again)
        before = stored(command)
        adapter.send_signal(signal.SIGCONT)
        written = number(adapter.stdout)

        if written or stored(command) != before:
            stale.append((trial, report, written))
        end(command)

    assert stale == []


def end(command: Command) -> None:
    """Let it be out of the way of the next trial."""
    Command.objects.filter(pk=command.pk).update(
        status="cancelled", ended_at=now(), due_at=None
    )
