"""The embedded stack as a process: kill, restart and stop it without losing data."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from iotplatform.local.layout import Layout
from iotplatform.local.orphan_processes import MARK, find_orphans
from iotplatform.local.ports import free_port
from iotplatform.local.programs import STORES, Program
from iotplatform.local.supervision import Supervisor
from tests.platform_process import Platform
from tests.waiting import PATIENCE, wait_until

READY = "Ctrl-C to stop everything"
pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def closed_folder() -> Iterator[Path]:
    """A folder that only we may enter: if we are root, no account of a store may."""
    folder = Path(tempfile.mkdtemp(prefix="iot-closed-"))
    assert folder.stat().st_mode & 0o777 == 0o700
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def one_platform(closed_folder: Path) -> Iterator[Platform]:
    platform = Platform(closed_folder / "100 % odd; 'name'" / "var")
    platform.data_dir.parent.mkdir()
    yield platform
    platform.discard()


@pytest.fixture
def platform(one_platform: Platform) -> Platform:
    """A running platform without a demo; restarted if a test has ended it."""
    if one_platform.has_ended():
        start(one_platform)
    return one_platform


def start(platform: Platform, *options: str, command: tuple[str, ...] = ()) -> None:
    already = platform.output_file.exists() and platform.terminal.count(READY)
    platform.start(*options, command=command)

    def is_ready() -> bool:
        return platform.terminal.count(READY) > int(already) or platform.has_ended()

    wait_until(is_ready, seconds=400, what="the start")
    assert not platform.has_ended(), platform.terminal


def nothing_runs(platform: Platform) -> bool:
    return not find_orphans(platform.data_dir)


def test_a_start_prints_nothing_but_its_steps_and_addresses(platform: Platform) -> None:
    shown, _, _ = platform.terminal.partition(READY)

    # Ours are indented; the output of a library is not.
    assert [line for line in shown.splitlines() if line and line[:2] != "  "] == []
    assert re.search(r"(?m)^  Stores: \d+\.\d s$", shown)


def test_no_file_is_readable_by_others_and_folders_above_keep_their_mode(
    platform: Platform, closed_folder: Path
) -> None:
    for path in platform.data_dir.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # files may vanish meanwhile
            mode = path.lstat().st_mode & 0o777
            reachable = path.parent.lstat().st_mode & 0o077
            assert not (reachable and mode & 0o077), f"{path} has mode {mode:o}"
    assert (platform.data_dir / "run" / "env").stat().st_mode & 0o777 == 0o600
    assert closed_folder.stat().st_mode & 0o777 == 0o700


def test_it_listens_on_loopback_only(platform: Platform) -> None:
    addresses = set()
    for process in find_orphans(platform.data_dir):
        with contextlib.suppress(psutil.Error):
            for entry in process.net_connections(kind="inet"):
                if entry.status == psutil.CONN_LISTEN:
                    addresses.add(entry.laddr.ip)

    assert addresses == {"127.0.0.1"}


def test_a_second_start_on_the_same_data_folder_is_refused(platform: Platform) -> None:
    second = Platform(platform.data_dir)
    second.output_file = platform.data_dir.parent / "second.terminal"
    second.start()
    assert second.process is not None

    assert second.process.wait(timeout=PATIENCE) == 1
    assert f"The platform is already running on {platform.data_dir}" in second.terminal
    assert platform.url in second.terminal
    assert not platform.has_ended()


@pytest.mark.parametrize("store", ["postgres", "valkey", "broker"])
def test_a_killed_store_is_reported_and_returns_with_its_data(
    platform: Platform, store: str
) -> None:
    platform.sql("CREATE TABLE IF NOT EXISTS kept (what text)")
    platform.sql("INSERT INTO kept VALUES (%s)", [store])

    pid = platform.kill(store)

    platform.wait_until_replaced(store, pid)
    wait_until(
        lambda: (
            f"{store} stopped (exit -9) and is being restarted" in platform.terminal
        ),
        what="a line in the terminal",
    )
    wait_until(lambda: rows_of(platform, store), what="the row")


def rows_of(platform: Platform, what: str) -> int:
    import psycopg

    try:
        return len(platform.sql("SELECT 1 FROM kept WHERE what = %s", [what]))
    except psycopg.OperationalError:
        return 0  # it is still starting


def test_a_stop_leaves_nothing_running_and_the_next_start_finds_the_data(
    platform: Platform,
) -> None:
    platform.sql("CREATE TABLE IF NOT EXISTS kept (what text)")
    platform.sql("INSERT INTO kept VALUES ('stop')")
    before = platform.env

    assert platform.stop(signal.SIGINT) == 0
    assert nothing_runs(platform)
    assert not (platform.data_dir / "run" / "demo.json").exists()

    # Values of the last start in run/env must not count as set by a person now.
    free = {"PORT": str(free_port()), "MQTT_PORT": str(free_port())}
    platform.environment |= free
    start(platform)
    assert platform.env["PORT"] == free["PORT"] != before["PORT"]
    assert platform.env["MQTT_PORT"] == free["MQTT_PORT"]
    assert platform.env["DATABASE_URL"] == before["DATABASE_URL"]
    assert rows_of(platform, "stop")


def test_it_starts_again_after_everything_was_killed(platform: Platform) -> None:
    platform.sql("CREATE TABLE IF NOT EXISTS kept (what text)")
    platform.sql("INSERT INTO kept VALUES ('all killed')")
    assert platform.process is not None
    # The supervisor first, so that its children have no parent; then the platform.
    os.kill(platform.process.pid, signal.SIGSTOP)
    platform.kill_supervisor()
    platform.process.kill()
    platform.process.wait()
    assert find_orphans(platform.data_dir)

    start(platform)

    assert "Stopping processes that a killed platform left running" in platform.terminal
    assert rows_of(platform, "all killed")


def test_a_supervisor_that_is_killed_is_replaced(platform: Platform) -> None:
    platform.kill_supervisor()

    wait_until(
        lambda: "supervisord stopped" in platform.terminal,
        what="a line in the terminal",
    )
    wait_until(platform.answers, what="supervisord")
    wait_until(lambda: platform.pid_of("web"), what="web runs again")


def test_processes_of_a_killed_foreground_process_stop_by_themselves(
    platform: Platform,
) -> None:
    assert platform.process is not None
    platform.process.kill()
    platform.process.wait()

    wait_until(lambda: nothing_runs(platform), what="nothing left")


def test_asking_make_to_stop_stops_the_platform(one_platform: Platform) -> None:
    if not one_platform.has_ended():
        one_platform.stop()
    start(one_platform, command=("make", "--no-print-directory", "up"))
    assert one_platform.process is not None
    began = time.monotonic()

    # Only to make, as a script would send it: make does not pass it on.
    one_platform.process.send_signal(signal.SIGINT)
    one_platform.process.wait(timeout=20)

    assert time.monotonic() - began < 20
    assert nothing_runs(one_platform)


def test_supervisor_runs_in_a_folder_whose_path_is_too_long_for_a_socket(
    closed_folder: Path,
) -> None:
    layout = Layout(closed_folder / ("deep" * 20) / ("deeper" * 10))
    layout.prepare()
    sleeper = Program("sleeper", ["sleep", "60"], STORES, starts_with_stack=True)
    supervisor = Supervisor(layout, [sleeper], print)

    supervisor.start(dict(os.environ) | {MARK: str(layout.root)})

    wait_until(supervisor.is_ready, what="supervisord")
    wait_until(lambda: len(find_orphans(layout.root)) == 2, what="the sleeper")
    assert supervisor.stop(seconds=10)
    assert not find_orphans(layout.root)
