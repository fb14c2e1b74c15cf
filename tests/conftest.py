"""Fixtures that every test may use, and what a run says about itself at its end."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from django.db import connection
from hypothesis import HealthCheck
from xdist.scheduler import LoadScopeScheduling

from iotplatform.local.broker import find_mosquitto
from iotplatform.local.setup.test_packages import BROWSER, missing_packages
from tests.broker_process import BrokerProcess
from tests.databases import copy_the_migrated, drop_the_migrated
from tests.emptying import empty_quickly
from tests.identity_process import provider, provider_address  # noqa: F401
from tests.stores import ELASTICSEARCH

# The longest first, so that at the end no process waits long for another. What starts
# a platform mostly waits, and stands between what mostly computes.
EARLY = (
    "tests/stack/",
    "tests/pages/test_every_page.py",
    "tests/admin/test_budgets.py",
    "tests/local/test_stack.py",
    "tests/admin/test_roles.py",
    "tests/api/test_every_operation.py",
    "tests/stack/test_loop_on_amqtt.py",
    "tests/isolation/",
    "tests/adapters/",
    "tests/adapters/test_device_process.py",
    "tests/common/test_migrations.py",
    "tests/fleet/test_indexer_killed.py",
)
# What they share costs more than they do: one process runs all of them.
TOGETHER = {
    "tests/stack/",
    "tests/adapters/test_device_process.py",
    "tests/admin/test_budgets.py",
    "tests/local/test_stack.py",
    "tests/stack/test_loop_on_amqtt.py",
}
# How many objects are made until the collector looks for garbage; how many of its looks
# until it looks at older ones too.
GARBAGE = (50_000, 20, 20)
# Without these, a Chromium on a closed network asks for its maker's hosts all the time.
CHROMIUM_OPTIONS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the same tests at full size")


def pytest_configure(config: pytest.Config) -> None:
    from django.conf import settings

    # Ours alone: the processes that tests start take roles of their own.
    os.environ.pop("DATABASE_ROLE", None)
    # Argon2 takes its time on purpose, and tests sign in often.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    empty_quickly()
    # How long it takes to make an input up says how busy the machine is.
    patient = [HealthCheck.too_slow]
    usual = hypothesis.settings()
    hypothesis.settings.register_profile("suite", usual, suppress_health_check=patient)
    hypothesis.settings.load_profile("suite")


def pytest_sessionstart() -> None:
    """Load the admin as the URLs do, before a test module imports a part of it."""
    from django.contrib import admin

    admin.autodiscover()


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave the long ones out, not as skipped; bring what takes longest to the front.

    Several processes may share the tests: whichever is done takes the next one.
    """
    if not config.getoption("--long"):
        long = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)
    items.sort(key=_turn)


def pytest_collection_finish() -> None:
    """Look for garbage less often, and not among what was imported and stays.

    Else a seventh of the time goes into walks through modules, models and tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def _place_of(test: str) -> str:
    """Return which of the early ones a test is among."""
    return max(filter(test.startswith, EARLY), key=len, default="")


def _turn(item: pytest.Item) -> tuple[int, bool]:
    """Return when a test's turn comes: a browser's after the others of its place."""
    place = _place_of(item.nodeid)
    turn = EARLY.index(place) if place else len(EARLY)
    return turn, item.get_closest_marker("browser") is not None


class Sharing(LoadScopeScheduling):  # type: ignore[misc]
    """Which process runs what: each test by itself, but for those that go together.

    pytest-xdist has a mark for that, which pytest 9.2 makes it overlook, in silence.
    """

    def _split_scope(self, nodeid: str) -> str:
        place = _place_of(nodeid)
        return place if place in TOGETHER else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    config.option.loadscopereorder = False  # or it would undo our order
    return Sharing(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what drives a browser where there is none, before its driver starts."""
    if item.get_closest_marker("browser"):
        missing = set(missing_packages()) & {BROWSER, "libatomic1"}
        if missing:
            pytest.skip(f"not installed: {', '.join(sorted(missing))}")


COUNTED = pytest.StashKey[Counter[str]]()


@pytest.fixture(scope="session")
def counted(pytestconfig: pytest.Config) -> Counter[str]:
    """How much was tried of what; the run says so at its end."""
    return pytestconfig.stash.setdefault(COUNTED, Counter())


def _skipped(config: pytest.Config) -> list[Any]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return list(reporter.stats.get("skipped", [])) if reporter else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where every test must run, a skipped one is a failure."""
    if os.environ.get("IOT_FAIL_ON_SKIP") and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    # In the process that shares the tests out: what its workers copied.
    if nodes := session.config.pluginmanager.get_plugin("dsession"):
        drop_the_migrated(nodes.nodemanager.testrunuid)
    # In a process that shares the tests with others (pytest-xdist): to their summary.
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        counts = session.config.stash.get(COUNTED, None)
        output["counted"] = dict(counts or {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    """Take over what one of several processes counted."""
    counts = getattr(node, "workeroutput", {}).get("counted", {})
    node.config.stash.setdefault(COUNTED, Counter()).update(counts)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if counts := config.stash.get(COUNTED, Counter()):
        terminalreporter.section("counted")
        for what, count in sorted(counts.items()):
            terminalreporter.line(f"{count:>8,}  {what}")
        if ELASTICSEARCH not in os.environ:
            terminalreporter.line(
                "       0  queries compared on two engines: no ELASTICSEARCH_URL"
            )
    skipped = _skipped(config)
    if not skipped:
        return
    terminalreporter.section("skipped")
    if missing := missing_packages():
        terminalreporter.line(
            f"Not installed: {', '.join(missing)}; tests that need them were skipped."
        )
    if os.environ.get("IOT_FAIL_ON_SKIP"):
        terminalreporter.line(
            "A skipped test counts as failed here (IOT_FAIL_ON_SKIP):"
        )
        for report in skipped:
            terminalreporter.line(f"  {report.nodeid}: {report.longrepr[2]}")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None,
    django_db_use_migrations: bool,
    django_db_blocker: Any,
    testrun_uid: str,
    worker_id: str,
) -> None:
    """Migrate once for all processes that share the tests."""
    if worker_id != "master" and django_db_use_migrations:
        with django_db_blocker.unblock():
            copy_the_migrated(testrun_uid)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Let the tests' database be emptied between tests: the audit log refuses that."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE registry_auditentry DISABLE TRIGGER registry_audit_keep_all"
        )


@pytest.fixture(scope="session")
def is_long(pytestconfig: pytest.Config) -> bool:
    """Whether this run is at full size (`make test-long`)."""
    return bool(pytestconfig.getoption("--long"))


def need_stock_clients() -> None:
    """Skip where ``mosquitto_pub`` and ``mosquitto_sub`` are not installed."""
    if "mosquitto-clients" in missing_packages():
        pytest.skip("not installed: mosquitto-clients")


def need_mosquitto() -> None:
    """Skip where the broker or its stock clients are not installed."""
    need_stock_clients()
    if find_mosquitto() is None:
        pytest.skip("not installed: mosquitto")


@pytest.fixture(scope="session")
def broker() -> Iterator[BrokerProcess]:
    """A real Mosquitto with our configuration, and no device yet."""
    need_mosquitto()
    process = BrokerProcess()
    process.start()
    yield process
    process.stop()
