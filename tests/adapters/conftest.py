"""A broker for tests of bridges."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broker_process import BrokerProcess
from tests.conftest import need_mosquitto


@pytest.fixture
def broker() -> Iterator[BrokerProcess]:
    """A broker of each test's own: it keeps a session for every slot there ever was."""
    need_mosquitto()
    process = BrokerProcess()
    process.start()
    yield process
    process.stop()
