"""Every device of ours answers as docs/device-vectors.json says."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from iotplatform.common.instants import instant_text
from tests.broker_process import BASE
from tests.simulator.vector_players import (
    HttpExample,
    MqttExample,
    Player,
    Simulated,
    SmallExample,
    answers_in,
)

VECTORS = json.loads((BASE / "docs/device-vectors.json").read_text())["vectors"]
DEVICES = (MqttExample, HttpExample, SmallExample, Simulated)


def id_of(letter: str) -> str:
    return str(uuid5(NAMESPACE_URL, letter))


def command_of(step: dict[str, Any]) -> dict[str, Any]:
    """The message on down/command of a step."""
    until = datetime.now(UTC) + timedelta(seconds=step.get("expires_in", 60))
    return {
        "id": id_of(step["command"]),
        "name": step.get("name", "identify"),
        "params": {"seconds": 1},
        "attempt": step.get("attempt", 1),
        "expires_at": instant_text(until),
    }


def play(step: dict[str, Any], player: Player) -> list[list[Any]]:
    """Play a step; return the answers as [id, body]."""
    if "restart" in step:
        player.restart()
        return []
    if "fill" in step:
        for number in range(step["fill"]):
            player.take("command", command_of({"command": f"f{number}"}), cut=False)
        return []
    kind, body = "command", step.get("raw")
    if "command" in step:
        body = command_of(step)
    elif "desired" in step:
        kind, body = "desired", dict(step["desired"])
        if body["command_id"] is not None:
            body["command_id"] = id_of(body["command_id"])
    assert body is not None
    said = player.take(kind, body, cut=step.get("power") == "fails")
    return [[command_id, answer] for command_id, answer in answers_in(said)]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.__name__)
def test_a_device_answers_as_the_vector_says(
    device: Callable[[Path], Player], vector: dict[str, Any], tmp_path: Path
) -> None:
    player = device(tmp_path)

    for number, step in enumerate(vector["steps"], start=1):
        answers = play(step, player)

        about = f"step {number} of “{vector['name']}”: {step}"
        if "answers" in step:
            found = [(command_id, body["status"]) for command_id, body in answers]
            assert len(found) == len(step["answers"]), (about, found)
            for (command_id, status), expected in zip(
                found, step["answers"], strict=True
            ):
                assert command_id == id_of(expected[0]), about
                assert status in expected[1].split(" or "), (about, found)
        if "reason" in step:
            assert answers[0][1]["reason"] == step["reason"], about
        if "runs" in step:
            assert player.runs == step["runs"], about
        if "interval" in step:
            assert player.interval() == step["interval"], about


def test_the_small_device_forgets_only_the_oldest(tmp_path: Path) -> None:
    player = SmallExample(tmp_path)
    for number in range(70):
        player.take("command", command_of({"command": f"c{number}"}), cut=False)
        if number == 50:
            player.restart()
    assert player.runs == 70

    for number in range(38, 70):
        player.take("command", command_of({"command": f"c{number}"}), cut=False)

    assert player.runs == 70
    assert (tmp_path / "ring").stat().st_size == 32 * 64


def test_the_small_device_survives_a_slot_that_was_cut_off(tmp_path: Path) -> None:
    player = SmallExample(tmp_path)
    for letter in "AB":
        player.take("command", command_of({"command": letter}), cut=False)
    with (tmp_path / "ring").open("r+b") as ring:
        ring.seek(64)
        ring.write(b"1 0197")
        ring.write(b" " * 58)

    player.restart()
    for letter in "AB":
        player.take("command", command_of({"command": letter}), cut=False)

    assert player.runs == 3  # B, whose slot was never whole, ran once more
