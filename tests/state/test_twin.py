"""Twins: the order of reported documents, merge patches, convergence."""

from __future__ import annotations

import json
import random
import struct
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.exceptions import DesiredRefused, DesiredVersionMoved
from state.judgment.twin_documents import (
    changes_of,
    delta_of,
    is_same,
    merge_patch,
    patch_between,
)
from state.selectors import (
    Stretch,
    desired_of,
    get_state,
    reports_of,
    timeline_entries,
)
from state.services.twin import merge_desired, merge_desired_many
from tests.factories import DeviceFactory
from tests.state.scene import arrive, be_born, presence, say, t, twin, uplink

SECOND = timedelta(seconds=1)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from("ab")
documents = st.recursive(
    st.dictionaries(st.sampled_from("abc"), scalars, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner | scalars, max_size=3),
    max_leaves=8,
)
# RFC 7396, appendix A.
EXAMPLES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), EXAMPLES)
def test_a_merge_patch_follows_the_standard(
    target: Any, patch: Any, result: Any
) -> None:
    assert merge_patch(target, patch) == result


@given(documents, documents)
def test_a_device_that_reports_everything_desired_has_converged(
    desired: dict[str, Any], more: dict[str, Any]
) -> None:
    patched = merge_patch({}, desired)  # a desired document has no null

    assert delta_of(patched, merge_patch(more, patched)) == {}
    assert delta_of(patched, {}).keys() == patched.keys()


@pytest.mark.django_db
def test_the_delta_has_the_desired_keys_whose_reported_value_differs() -> None:
    device = DeviceFactory.create()
    merge_desired(device.pk, {"interval": 5, "led": True}, at=t(0))

    say(device, "reported", t(0), version=1, reported={"interval": 9, "led": 1})

    assert get_state(device)["twin"] == {
        "desired": {"interval": 5, "led": True},
        "desired_version": 1,
        "reported": {"interval": 9, "led": 1},
        "reported_version": 1,
        "delta": {
            "interval": {"desired": 5, "reported": 9},
            "led": {"desired": True, "reported": 1},
        },
    }
    say(device, "reported", t(1), version=2, reported={"interval": 5, "led": True})
    assert twin(device).delta == {}


def as_float32(value: Any) -> Any:
    """Return a document as a device reports it that computes in float32."""
    if isinstance(value, dict):
        return {key: as_float32(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_float32(inner) for inner in value]
    if isinstance(value, float):
        return struct.unpack("f", struct.pack("f", value))[0]
    return value


@given(st.floats(width=64, min_value=-3e38, max_value=3e38))
def test_any_number_is_the_same_after_float32(number: float) -> None:
    assert is_same(number, as_float32(number))


@pytest.mark.parametrize(
    "desired", [0.1, {"pid": {"gain": 0.1}}, [0.1, {"gain": 0.7}], [[1e-40], True]]
)
def test_a_float32_device_that_reports_what_is_desired_does_not_drift(
    desired: Any,
) -> None:
    before, after = {"x": desired}, {"x": as_float32(desired)}
    assert after != before

    assert delta_of(before, after) == delta_of(after, before) == {}
    assert changes_of(before, after, before) == {}
    assert patch_between(before, after) == {}


@pytest.mark.parametrize(
    ("desired", "reported"),
    [
        (0.1, 0.100001),
        (1, True),
        (0.0, False),
        (None, 0),
        ("0.1", 0.1),
        ([True], [1]),
        ([0.1], [0.1, 0.1]),
        ([{"led": True}], [{"led": 1}]),
        ({"led": {"on": True}}, {"led": {"on": 1}}),
        (1_700_000_000_001, 1_700_000_000_000),
        (10**400, 0.5),
    ],
)
def test_values_that_differ_drift_however_deep_they_stand(
    desired: Any, reported: Any
) -> None:
    before, after = {"x": desired}, {"x": reported}

    assert delta_of(before, after) == {"x": {"desired": desired, "reported": reported}}
    assert changes_of(before, after, before).keys() == {"x"}
    assert patch_between(before, after).keys() == {"x"}


@pytest.mark.django_db
def test_an_older_document_never_overwrites_a_newer_one() -> None:
    device = DeviceFactory.create()

    for boot, version in ((2, 5), (2, 4), (1, 99), (3, 1), (2, 6)):
        body = {"boot": boot, "version": version, "reported": {"v": version}}
        say(device, "reported", t(version), **body)

    assert (twin(device).reported_boot, twin(device).reported_version) == (3, 1)
    assert twin(device).reported == {"v": 1}


@pytest.mark.django_db
def test_without_boot_versions_restart_only_after_a_birth_with_a_new_session() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0), "s1")
    say(device, "reported", t(1), version=9, reported={"v": 9})
    say(device, "reported", t(2), version=1, reported={"v": 1})
    be_born(device, t(3), "s1")
    say(device, "reported", t(4), version=1, reported={"v": 1})
    assert twin(device).reported == {"v": 9}

    # In one batch, each document counts in the session in which it arrived.
    arrive(
        uplink(device, "reported", t(5), version=10, reported={"v": 10}),
        uplink(device, "status", t(6), status="online", session="s2"),
        uplink(device, "reported", t(7), version=1, reported={"v": "new"}),
    )

    assert twin(device).reported == {"v": "new"}
    assert twin(device).reported_version == 1


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(6))
def test_any_order_and_repetition_of_reports_gives_the_same_twin_and_sequence(
    seed: int,
) -> None:
    shuffle = random.Random(seed)
    device = DeviceFactory.create()
    messages = []
    for boot in (1, 2):
        for seq in range(20):
            at = t(boot) + seq * SECOND
            body: dict[str, Any] = {"boot": boot, "seq": seq}
            kind = ("status", "reported", "heartbeat")[min(seq, seq % 2 + 1)]
            if kind == "status":
                body |= {"status": "online", "session": f"s{boot}"}
            elif kind == "reported":
                body |= {"version": seq, "reported": {"boot": boot, "seq": seq}}
            messages.append(uplink(device, kind, at, **body))
    messages += shuffle.sample(messages, 15)
    shuffle.shuffle(messages)

    while messages:
        batch, messages = messages[:7], messages[7:]
        arrive(*batch)

    row, now = presence(device), twin(device)
    assert (row.boot, row.seq_high, row.seq_window) == (2, 19, (1 << 20) - 1)
    assert (row.session, row.connectivity) == ("s2", "online")
    assert row.last_activity_at == t(2) + 19 * SECOND
    assert (now.reported_boot, now.reported_version) == (2, 18)
    assert now.reported == {"boot": 2, "seq": 18}


@pytest.mark.django_db
def test_a_patch_for_an_old_version_is_refused() -> None:
    device = DeviceFactory.create()
    assert merge_desired(device.pk, {"a": 1}, expected_version=0, at=t(0)) == 1

    with pytest.raises(DesiredVersionMoved):
        merge_desired(device.pk, {"a": 2}, expected_version=0, at=t(1))

    assert desired_of([device.pk]) == {device.pk: ({"a": 1}, 1)}


@pytest.mark.django_db
def test_a_patch_that_makes_one_document_too_large_changes_no_twin() -> None:
    small, large = DeviceFactory.create(), DeviceFactory.create()
    merge_desired(large.pk, {"a": "x" * 8_000}, at=t(0))

    with pytest.raises(DesiredRefused):
        merge_desired_many([small.pk, large.pk], {"b": "y" * 400}, at=t(1))

    assert desired_of([small.pk]) in ({}, {small.pk: ({}, 0)})
    merged = merge_desired_many([small.pk, large.pk], {"a": None}, at=t(2))
    assert {pk: one.version for pk, one in merged.items()} == {small.pk: 1, large.pk: 2}
    assert reports_of([small.pk]) == {}


@pytest.mark.django_db
def test_the_timeline_shows_changes_of_both_documents() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    say(device, "reported", t(1), version=1, reported={"firmware": "1", "up": 5})
    merge_desired(device.pk, {"interval": 5}, at=t(2))
    merge_desired(device.pk, {"interval": 5}, at=t(3))
    say(device, "reported", t(4), version=2, reported={"firmware": "1", "up": 6})
    say(device, "reported", t(5), version=3, reported={"interval": 5, "up": 7})

    entries = timeline_entries(device, Stretch(t(9), 10))

    changes = [(e["kind"], e["at"], e["actor"], e["detail"]) for e in entries]
    assert changes[:3] == [
        (
            "reported",
            t(5),
            "device",
            {
                "version": 3,
                "changes": {"firmware": {"from": "1"}, "interval": {"to": 5}},
            },
        ),
        (
            "desired",
            t(2),
            "platform",
            {"version": 1, "changes": {"interval": {"to": 5}}},
        ),
        (
            "reported",
            t(1),
            "device",
            {"version": 1, "changes": {"firmware": {"to": "1"}, "up": {"to": 5}}},
        ),
    ]


@given(documents, documents)
def test_the_recorded_changes_of_a_document_are_correct_and_limited(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    changed = changes_of(before, after, {})

    for key, sides in changed.items():
        assert sides == {
            **({"from": before[key]} if key in before else {}),
            **({"to": after[key]} if key in after else {}),
        }
        # As text: JSON's true is not its 1, though Python's is.
        texts = [json.dumps(value, sort_keys=True) for value in sides.values()]
        assert len(texts) == 1 or texts[0] != texts[1]
    assert changes_of(before, before, before) == {}
    many = {f"key-{n}": "x" * 10_000 for n in range(100)}
    assert len(str(changes_of({}, many, {}))) < 32 * 600
