"""What simulated devices remember after a clean end, a kill, and damaged files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from iotplatform.simulator.execution_journal import Execution
from iotplatform.simulator.memory import DamagedMemory, Memory, Store, apply
from iotplatform.simulator.profiles import BadMix, choose, parse_mix
from iotplatform.simulator.targets import BadTargets, Target, grouped, read_uids

SUCCEEDED = {"status": "succeeded", "payload": {}}


def execution(name: str = "identify", **fields: Any) -> Execution:
    known: dict[str, Any] = {"at": "", "uid": "a", "id": "id-1", "params": {}}
    known |= {"boot": 4}
    return msgspec.convert(
        known | {"name": name, "outcome": SUCCEEDED} | fields, Execution
    )


def write(store: Store, entry: Execution) -> None:
    memory = store.devices.setdefault(entry.uid, Memory())
    asyncio.run(store.journal.append(entry, lambda e: apply(memory, e)))


def test_a_clean_end_keeps_everything(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.devices["a"] = Memory(boot=4, firmware="1.0")
    write(store, execution())
    store.close()

    memory = Store(tmp_path).devices["a"]

    assert (memory.boot, memory.firmware) == (4, "1.0")
    assert memory.executed == {"id-1": SUCCEEDED}


def test_after_a_kill_the_journal_restores_what_was_not_saved(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    store.devices["a"] = Memory(boot=4, firmware="1.0")
    asyncio.run(store.save())
    write(store, execution("update_firmware", params={"version": "2.0"}))
    write(store, execution("set_config", id="id-2", params={"x": 1}, version=7))

    memory = Store(tmp_path).devices["a"]  # the first store was not closed

    assert memory.boot > 4 + 1
    assert memory.firmware == "2.0"
    assert (memory.config, memory.config_version) == ({"x": 1}, "c7")
    assert set(memory.executed) == {"id-1", "id-2"}


def test_a_partial_line_of_the_journal_is_dropped(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, execution())
    whole = store.journal.path.read_bytes()
    store.journal.path.write_bytes(whole + b'{"at":"","uid":"a","id":"id')

    again = Store(tmp_path)

    assert set(again.devices["a"].executed) == {"id-1"}
    assert again.journal.path.read_bytes() == whole


def test_a_damaged_memory_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "devices.json").write_text("{")

    with pytest.raises(DamagedMemory, match=r"devices\.json is damaged"):
        Store(tmp_path)


def test_a_device_forgets_only_its_oldest_commands() -> None:
    memory = Memory()
    for number in range(300):
        memory.remember(str(number), None)

    assert len(memory.executed) == 256
    assert "299" in memory.executed
    assert "0" not in memory.executed


def test_seed_and_mix_determine_every_profile() -> None:
    mix = parse_mix("healthy=1, flaky=3")
    names = [choose(mix, seed=1, uid=f"d-{n}").name for n in range(200)]

    assert names == [choose(mix, seed=1, uid=f"d-{n}").name for n in range(200)]
    assert 120 < names.count("flaky") < 180
    assert names != [choose(mix, seed=2, uid=f"d-{n}").name for n in range(200)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sleepy=1", "'sleepy' is not a profile"),
        ("healthy=x", "weight of healthy"),
        ("healthy=-1", "≥ 0"),
        ("healthy=nan", "≥ 0"),
        ("healthy=0", "no profile has a weight"),
        ("", "no profile has a weight"),
    ],
)
def test_an_invalid_mix_is_explained(text: str, words: str) -> None:
    with pytest.raises(BadMix, match=words):
        parse_mix(text)


def test_a_bad_uid_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "uids"
    path.write_text("# fleet\na-1\n\nb:2\n")

    with pytest.raises(BadTargets, match="line 4: 'b:2'"):
        read_uids(path)


def test_children_share_the_connection_of_their_gateway() -> None:
    targets = [Target("c", gateway_uid="g"), Target("g"), Target("x", gateway_uid="y")]

    (group,) = grouped(targets)

    assert (group.head.uid, [c.uid for c in group.children]) == ("g", ["c"])
