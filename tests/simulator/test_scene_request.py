"""A scene is asked for once at a time, and only of a simulator that runs."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from time import time
from typing import Any

import pytest

from iotplatform.simulator.scenes import ask
from iotplatform.simulator.scenes.ask import (
    SceneRefused,
    ask_for_scene,
    require_free,
)
from iotplatform.simulator.scenes.choice import Choice
from iotplatform.simulator.scenes.stage import Stage, read_request, request_path
from tests.waiting import wait_until

CHOICE = Choice(uids=("d-1",), text="d-1 is lost.")


def test_without_a_simulator_a_scene_is_refused_and_forgotten(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ask, "SEEN_WITHIN_SECONDS", 0.3)

    with pytest.raises(SceneRefused, match="no simulator runs"):
        ask_for_scene("site-outage", CHOICE, folder=tmp_path, minutes=1)

    assert not request_path(tmp_path).exists()


def test_while_a_scene_plays_a_second_one_is_refused(tmp_path: Path) -> None:
    stage, path = Stage(tmp_path, {}), request_path(tmp_path)
    given: dict[str, Any] = {"folder": tmp_path, "minutes": 2}
    asking = Thread(target=ask_for_scene, args=("site-outage", CHOICE), kwargs=given)
    asking.start()
    wait_until(path.exists, what="the request")

    stage.look(time())
    asking.join()

    with pytest.raises(SceneRefused, match="site-outage still plays"):
        require_free(tmp_path, minutes=2)
    stage.look(time() + 121)
    assert read_request(path) is None
    require_free(tmp_path, minutes=2)
    with pytest.raises(SceneRefused, match="from 1 to 60"):
        require_free(tmp_path, minutes=0)
