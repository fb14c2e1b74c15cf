"""Errors of the set-up name the cause and a fix."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from django.conf import settings
from django.db import OperationalError, connection

from iotplatform.database.rights import refused_connection
from iotplatform.local.accounts import Account, run_as
from iotplatform.local.errors import SetupError
from iotplatform.local.external import check_reachable, store_urls
from iotplatform.local.layout import Layout
from iotplatform.local.ports import free_port, public_port
from iotplatform.local.programs import supervisor_config
from iotplatform.local.setup import bootstrap, python_version
from iotplatform.local.setup.installation import (
    check_venv,
    fingerprint,
    npm_environment,
)
from tests.platform_process import BASE, Platform
from tests.waiting import PATIENCE


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port with a listener that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_old_python_gets_a_message_with_the_needed_version() -> None:
    complaint = python_version.complaint_about((3, 9, 2), "/usr/bin/python3")  # type: ignore[no-untyped-call]

    assert "Python 3.11 or newer is needed" in complaint
    assert "/usr/bin/python3 is 3.9" in complaint
    assert not python_version.complaint_about((3, 11, 0), "python")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("first", [bootstrap, python_version])
def test_old_pythons_can_parse_the_first_scripts(first: ModuleType) -> None:
    source = Path(str(first.__file__)).read_text()

    ast.parse(source, feature_version=(3, 4))


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_a_python_without_venv_gets_a_message_with_the_package_to_install(
    missing: str,
) -> None:
    with pytest.raises(SetupError, match=r"python3\.\d+-venv") as error:
        check_venv(lambda name: None if name == missing else object())

    assert missing in str(error.value)


def test_changed_requirements_are_installed_again(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("a==1\n")
    (tmp_path / "more.txt").write_text("-r base.txt\nb==1\n")
    before = fingerprint(tmp_path / "more.txt")

    (tmp_path / "base.txt").write_text("a==2\n")

    assert fingerprint(tmp_path / "more.txt") != before


def test_a_machine_without_npm_uses_the_npm_of_the_virtual_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    environment = npm_environment(Path(sys.executable))

    done = subprocess.run(
        ["npm", "--version"], env=environment, capture_output=True, check=True
    )

    assert int(done.stdout.split(b".")[0]) >= 10


def test_the_lock_file_names_no_registry() -> None:
    lock = (BASE / "package-lock.json").read_text()

    assert '"resolved"' not in lock


def test_a_requested_port_that_is_in_use_is_an_error(taken_port: int) -> None:
    with pytest.raises(SetupError, match=f"PORT: port {taken_port} is in use") as error:
        public_port("PORT", str(taken_port), 8000, print)

    assert f"process {os.getpid()}" in str(error.value)


def test_the_next_free_port_replaces_a_default_port_that_is_in_use(
    taken_port: int,
) -> None:
    lines: list[str] = []

    port = public_port("MQTT_PORT", "", taken_port, lines.append)

    assert port > taken_port
    assert f"MQTT_PORT is {port} instead" in lines[0]


@pytest.mark.parametrize("text", ["http", "0", "70000", "-1"])
def test_a_port_that_is_not_a_number_is_an_error(text: str) -> None:
    with pytest.raises(SetupError, match=r"PORT: .* is not a port number"):
        public_port("PORT", text, 8000, print)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("DATABASE_URL", "postgres"), ("REDIS_URL", "redis"), ("MQTT_URL", "mqtt")],
)
def test_a_store_that_does_not_answer_is_reported_with_host_and_port(
    name: str, scheme: str
) -> None:
    port = free_port()

    with pytest.raises(SetupError, match=f"{name} names 127.0.0.1 port {port}"):
        check_reachable({name: f"{scheme}://127.0.0.1:{port}/0"})


def test_a_redis_user_that_may_not_write_is_reported_with_what_it_may_not() -> None:
    user, url = "only-looks", urlsplit(settings.REDIS_URL)
    server = redis.Redis.from_url(settings.REDIS_URL)
    server.acl_setuser(
        user, enabled=True, passwords=["+it"], keys=["*"], commands=["+@connection"]
    )
    address = f"redis://{user}:it@{url.hostname}:{url.port}/0"

    try:
        with pytest.raises(SetupError, match=r"REDIS_URL names .*no permissions .*set"):
            check_reachable({"REDIS_URL": address})
    finally:
        server.acl_deluser(user)


def test_a_command_whose_connection_is_refused_says_why(db: None) -> None:
    params = connection.get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold"):
        params.pop(name, None)

    with pytest.raises(OperationalError) as error, connection.wrap_database_errors:
        psycopg.connect(**params | {"options": "-c role=iot_other"})
    refused = refused_connection(error.value)

    assert "The database cannot be used" in refused
    assert "manage.py migrate makes the roles" in refused
    assert refused_connection(OperationalError("deadlock detected")) == ""


def test_an_empty_address_means_the_embedded_store() -> None:
    environment = {"DATABASE_URL": "", "REDIS_URL": "redis://theirs", "HOME": "/"}

    assert store_urls(environment) == {"REDIS_URL": "redis://theirs"}


def test_a_folder_that_the_account_cannot_read_is_reported() -> None:
    stranger = Account(65534, 65534, "nobody")

    with pytest.raises(SetupError, match="who cannot read /no/such/folder"):
        run_as(stranger, binary=Path("/bin/true"), folder=Path("/no/such/folder"))


@pytest.mark.parametrize("name", ["PORT", "MQTT_PORT"])
def test_a_port_in_use_ends_the_start_and_leaves_nothing_running(
    taken_port: int, name: str
) -> None:
    platform = Platform(environment={name: str(taken_port)})
    platform.start()
    assert platform.process is not None

    assert platform.process.wait(timeout=PATIENCE) == 1
    assert f"{name}: port {taken_port} is in use" in platform.terminal
    assert "Traceback" not in platform.terminal
    platform.discard()


def test_an_unreachable_store_ends_the_start_before_anything_else_starts() -> None:
    port = free_port()
    platform = Platform(
        environment={"DATABASE_URL": f"postgres://a:b@127.0.0.1:{port}/c"}
    )
    platform.start()
    assert platform.process is not None

    assert platform.process.wait(timeout=PATIENCE) == 1
    assert f"DATABASE_URL names 127.0.0.1 port {port}" in platform.terminal
    assert not (platform.data_dir / "postgres").exists()
    platform.discard()


def test_a_demo_with_an_invalid_size_is_refused() -> None:
    environment = os.environ | {"DEVICES": "many", "IOT_DATA_DIR": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "manage.py", "up", "--demo"],
        cwd=BASE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "DEVICES must be from 1 to 100000, not 'many'" in done.stderr


def test_a_folder_that_supervisor_would_misread_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "mine ;old")

    with pytest.raises(SetupError, match="Choose another IOT_DATA_DIR"):
        supervisor_config(layout, tmp_path / "socket", [])
