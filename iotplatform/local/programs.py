"""The programs of the stack: their commands, their order, how to stop them."""

from __future__ import annotations

import resource
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from iotplatform.local.errors import SetupError
from iotplatform.local.layout import Layout
from iotplatform.local.ports import LOOPBACK

BASE_DIR = Path(__file__).resolve().parent.parent.parent
STORES, APPS = "stores", "apps"
WEB_THREADS = 16
MOST_FILES = 10_240  # the maximum of macOS
LOG_BYTES, LOG_FILES = 5_000_000, 3
STOP_SECONDS = 6  # twice: stores stop after programs; both must end well within 20 s
SUPERVISOR = """\
# Written at each start by iotplatform/local/programs.py.
[supervisord]
nodaemon = true
silent = true
logfile = {log}/supervisor.log
logfile_maxbytes = {log_bytes}
logfile_backups = {log_files}
pidfile = {run}/supervisord.pid
childlogdir = {log}
umask = 077
minfds = {minfds}

[unix_http_server]
file = {socket}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
# Supervisor restarts a program that does not stay up after 1, 2, 3 … seconds. When it
# gives up, supervision.py starts the program again.
PROGRAM = """
[program:{name}]
command = {command}
directory = {directory}
environment = {environment}
autostart = {autostart}
autorestart = true
startsecs = {startsecs}
startretries = 8
stopsignal = {stopsignal}
stopwaitsecs = {stopwaitsecs}
killasgroup = true
redirect_stderr = true
stdout_logfile = {log_twice}/{name}.log
stdout_logfile_maxbytes = {log_bytes}
stdout_logfile_backups = {log_files}
"""


WEB_APPLICATION = "iotplatform.wsgi:application"
GUNICORN = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread"]
GUNICORN += ["--no-control-socket"]
# Up to 1 MB: the API itself refuses a query that is too long, and says where.
GUNICORN += ["--limit-request-line", "0"]


@dataclass(frozen=True)
class Program:
    """A process that supervisor keeps running."""

    name: str
    command: Sequence[str]
    group: str = APPS
    stop_signal: str = "TERM"
    starts_with_stack: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def store(
    name: str, command: Sequence[str], *, mark: str, stop: str = "TERM"
) -> Program:
    """A store: it starts first, stops last, and sees none of our secrets."""
    clean = ["/usr/bin/env", "-i", f"IOT_STACK={mark}", "PATH=/usr/bin:/bin", "TZ=UTC"]
    clean += ["LC_ALL=C.UTF-8"]
    return Program(name, [*clean, *command], STORES, stop, starts_with_stack=True)


def manage(command: str, *options: str) -> list[str]:
    return [sys.executable, str(BASE_DIR / "manage.py"), command, *options]


def app_programs(
    layout: Layout, *, port: int, files_broker: Path | None, demo_devices: int | None
) -> list[Program]:
    """The platform's own processes; the simulator runs only for a demo."""
    celery = [sys.executable, "-m", "celery", "-A", "iotplatform"]
    web = [*GUNICORN, WEB_APPLICATION, "--bind", f"{LOOPBACK}:{port}", "--workers", "1"]
    web += ["--threads", str(WEB_THREADS), "--graceful-timeout", "4", "--timeout", "60"]
    web += ["--keep-alive", "5"]
    worker = [*celery, "worker", "--without-gossip", "--without-mingle"]
    worker += ["--loglevel", "WARNING", "--hostname"]
    clock = [*worker, "clock@local", "--queues", "clock", "--concurrency", "2"]
    bulk = [*worker, "bulk@local", "--queues", "bulk", "--concurrency", "1"]
    # It waits for receivers most of the time, so one process is enough.
    notify = [*worker, "notify@local", "--queues", "notify", "--pool", "solo"]
    beat = [*celery, "beat", "--loglevel", "WARNING", "--pidfile", ""]
    # The start has checked already, and the checks load every page.
    unchecked = {"CELERY_SKIP_CHECKS": "1"}
    pooled = {"DATABASE_POOL": "1"}
    programs = [
        Program("web", web, environment=pooled),
        Program("device-http", manage("device_http"), environment=pooled),
        Program("bridge", manage("mqtt_bridge")),
        Program("indexer", manage("fleet_indexer")),
        # QUIT stops at once. A warm shutdown sometimes waits forever, and the work of
        # an interrupted task is still in its table.
        Program("worker", clock, stop_signal="QUIT", environment=unchecked),
        Program("worker-bulk", bulk, stop_signal="QUIT", environment=unchecked),
        Program("worker-notify", notify, stop_signal="QUIT", environment=unchecked),
        Program("beat", beat, environment=unchecked),
    ]
    if files_broker is not None:
        files = manage("mosquitto_files", "--dir", str(files_broker))
        programs.append(Program("broker-files", files))
    if demo_devices is not None:
        programs.append(Program("simulator", manage("simulate", "--demo")))
    return programs


def supervisor_config(layout: Layout, socket: Path, programs: Sequence[Program]) -> str:
    """The configuration of supervisord: two groups, so that stores stop last."""
    log, run = _escape(str(layout.log)), _escape(str(layout.run))
    common = {"log": log, "log_bytes": LOG_BYTES, "log_files": LOG_FILES}
    head = {"run": run, "socket": _escape(str(socket)), "minfds": most_files()}
    parts = [SUPERVISOR.format(**head, **common)]
    for program in programs:
        environment = {"PROCESS_NAME": program.name} | program.environment
        parts.append(
            PROGRAM.format(
                name=program.name,
                command=_escape(shlex.join(program.command)),
                directory=_escape(str(BASE_DIR)),
                environment=",".join(f'{k}="{v}"' for k, v in environment.items()),
                autostart="true" if program.starts_with_stack else "false",
                startsecs=1 if program.group == STORES else 5,
                stopsignal=program.stop_signal,
                stopwaitsecs=STOP_SECONDS,
                log_twice=_escape(log),  # supervisor expands this one twice
                **common,
            )
        )
    for priority, group in ((1, STORES), (2, APPS)):
        names = ",".join(p.name for p in programs if p.group == group)
        if names:
            parts.append(
                f"\n[group:{group}]\nprograms = {names}\npriority = {priority}\n"
            )
    return "".join(parts)


def most_files() -> int:
    """How many files a process may open: each simulated device needs a connection."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)


def _escape(text: str) -> str:
    """Escape percent signs, which supervisor expands.

    Raises SetupError for text that supervisor would read as a comment.
    """
    if any(sign in text for sign in (" ;", " #", "\n")):
        raise SetupError(
            f"{text!r}: a path with ' ;', ' #' or a line break cannot be used. Choose "
            "another IOT_DATA_DIR or folder for the checkout."
        )
    return text.replace("%", "%%")
