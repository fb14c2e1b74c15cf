"""Queries as people write them: what they find, and their errors."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleet.backends.documents import FleetDocument
from fleet.backends.tantivy_index import readers
from fleet.backends.tantivy_query import Compiler
from fleet.backends.tantivy_search import Search
from fleet.exceptions import QueryError
from fleet.fields import BY_NAME
from fleet.query.keys import Keys
from fleet.query.parser import parse
from iotplatform.common.version_key import version_key
from tests.fleet.index import fill
from tests.fleet.strategies import NOW

DEVICES: list[dict[str, Any]] = [
    {
        "uid": "pump-1",
        "name": "Cold store 5",
        "region": "East China",
        "firmware": "1.4.2",
        "disconnects_72h": 7,
        "tags": ["winter"],
        "lifecycle": "active",
        "last_activity": NOW - timedelta(days=4),
        "rssi": -80,
        "attr": {"battery_rev": "B"},
        "metric": {"temperature": 31.5},
    },
    {
        "uid": "pump-2",
        "region": "East China",
        "firmware": "1.4.10",
        "disconnects_72h": 4,
        "tags": ["winter", "new"],
        "lifecycle": "retired",
        "last_activity": NOW,
        "connectivity": "online",
        "oldest_unacked_at": NOW - timedelta(days=2),
        "rssi": -60.5,
    },
    {
        "uid": "meter-1",
        "gateway": "Hub-1",
        "region": "Bavaria",
        "firmware": "1.10.0",
        "serial": "SN-77",
        "attr": {"limits": [-80.0, 5.0], "offset": 2e-7, "text": "-75"},
    },
    {
        "uid": "store-3",
        "name": "上海浦东冷库 3号",
        "site": "\u039f\u0394\u039f\u03a3",
        "firmware": "v3.4.3",
    },
    {
        "uid": "store-4",
        "name": "浦 东",
        "site": "\u03bf\u03b4\u03bf\u03c2",
        "firmware": " 3.04.3 ",
    },
]

FOUND = [
    ('region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5', "pump-1"),
    ("firmware:<1.4.10", "pump-1"),
    ("firmware:>1.9", "meter-1 store-3 store-4"),
    ("firmware:1.10", "meter-1"),
    ("firmware:[1.4.2 TO 1.10}", "pump-1 pump-2"),
    ("last_activity:<now-3d", "pump-1"),
    ("last_activity:2026-11-23", "pump-2"),
    ('last_activity:>="2026-11-23T20:30:15.25+08:00"', "pump-2"),
    ("last_activity:>=2026-11-23T20:30:15.25+08:00", "pump-2"),
    ("tag:winter AND NOT lifecycle:retired", "pump-1"),
    ("tag:winter NOT lifecycle:retired", "pump-1"),
    ("connectivity:online AND oldest_unacked_at:<now-1d", "pump-2"),
    ("attr.battery_rev:B", "pump-1"),
    ("metric.temperature:>30", "pump-1"),
    # One value of a list must lie between the ends, not one above and one below.
    ('attr.limits:{"-80" TO "-70.5"}', ""),
    ("attr.limits:[-80 TO 0]", "meter-1"),
    ("attr.limits:{0 TO 1e17}", "meter-1"),
    ("attr.limits:{5 TO 9}", ""),
    ("attr.offset:[1e-7 TO 3e-7]", "meter-1"),
    ("attr.offset:<1e-7", ""),
    # A text is never in a range, even if it looks like a number.
    ("attr.text:[-80 TO 0]", ""),
    ("rssi:<-70", "pump-1"),
    ("rssi:-80", "pump-1"),
    ("rssi:(-80)", "pump-1"),
    ("rssi:(-80 OR -60.5)", "pump-1 pump-2"),
    ("NOT rssi:(-80 OR -60.5)", "meter-1 store-3 store-4"),
    ("attr.limits:(-80 OR 3)", "meter-1"),
    # A sign is part of the value, never a negation.
    ("tag:-winter", ""),
    ("tag:(-winter OR new)", "pump-2"),
    ("name:-5", "pump-1"),
    ("connectivity:on*", "pump-2"),
    ("NOT connectivity:o*", "pump-1 meter-1 store-3 store-4"),
    ("name:and", ""),
    ("rssi:[-70 TO 0]", "pump-2"),
    ("region:bavaria", "meter-1"),
    ("region:(bavaria OR nowhere)", "meter-1"),
    ("cold", "pump-1"),
    ('"cold store"', "pump-1"),
    ('"store cold"', ""),
    ("name:sto*", "pump-1"),
    ("pump", "pump-1 pump-2"),
    ("sn-77", "meter-1"),
    ("uid:pump-?", "pump-1 pump-2"),
    ("NOT connectivity:*", "pump-1 meter-1 store-3 store-4"),
    # Lists of devices name uids in their exact case, and so does a query.
    ("uid:Pump-1", ""),
    ("uid:PUMP-*", ""),
    ("uid:(pump-1 OR METER-1)", "pump-1"),
    ("gateway:Hub-1", "meter-1"),
    ("gateway:Hub*", "meter-1"),
    ("gateway:hub-1", ""),
    ("PUMP", "pump-1 pump-2"),
    ("*", "pump-1 pump-2 meter-1 store-3 store-4"),
    ("name:浦东", "store-3"),
    ("name:浦", "store-3 store-4"),
    ("冷库", "store-3"),
    ('name:"库 3号"', "store-3"),
    ("name:上海*", "store-3"),
    ("name:海东", ""),
    ('site:"\u039f\u0394\u039f\u03a3"', "store-3 store-4"),
    ("site:\u03bf\u03b4*", "store-3 store-4"),
    # One key for =, ranges and wildcards.
    ("firmware:3.4.3", "store-3 store-4"),
    ("firmware:[3.4 TO 3.5]", "store-3 store-4"),
    ("firmware:3.4.*", "store-3 store-4"),
    ("firmware:v3.04.?", "store-3 store-4"),
    ("firmware:1.10.*", "meter-1"),
    ("firmware:1.1*", "meter-1"),
]


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A search of three devices, as a function from text to uids."""
    root: Path = tmp_path_factory.mktemp("index")
    fill(root, [FleetDocument(n, 1, values) for n, values in enumerate(DEVICES)])
    reader = readers.current(root)

    def find(text: str) -> str:
        compiler = Compiler(reader.index, now=NOW)
        query = compiler.for_tenants(parse(text), {1: None})
        ids = Search(reader, compiler, query).device_ids()
        return " ".join(DEVICES[device_id]["uid"] for device_id in ids)

    return find


@pytest.mark.parametrize(("text", "uids"), FOUND)
def test_a_query_finds_the_devices_that_it_describes(
    search: Any, text: str, uids: str
) -> None:
    assert search(text) == uids


DECLARED = {
    "attr": ["battery_rev", "x"],
    "reported": ["modem.fw"],
    "metric": ["temperature"],
}
REFUSED = [
    ("", 0, None, "empty"),
    ("   ", 0, None, "empty"),
    ("risk:>5 AND regoin:x", 12, "region", "no field 'regoin'"),
    ("conectivity:online", 0, "connectivity", "no field"),
    ("region:[a TO b]", 7, None, "takes no range"),
    ("disconnects_72h:many", 16, None, "not a number"),
    ("since:yesterday", 6, None, "now-3d"),
    ("risk:>5 AND since:>2027-03-14T02:30:00", 19, None, "a time with its offset"),
    ('since:["2027-03-14 02:30" TO *]', 7, None, "a time with its offset"),
    ("since:20270314", 6, None, "a time with its offset"),
    ("drift:perhaps", 6, None, "true or false"),
    ("drift:ture", 6, "true", "true or false"),
    # A typo never means more devices.
    ("NOT connectivity:onlin", 17, "online", "one of online, suspect"),
    ('NOT connectivity:"onlin"', 17, "online", "one of online, suspect"),
    ("connectivity:(online OR ofline)", 24, "offline", "one of online, suspect"),
    ("NOT connectivity:onx*", 17, None, "fits this pattern"),
    ("NOT cause:last_wil", 10, "last_will", "one of never_connected"),
    ("NOT lifecycle:retird", 14, "retired", "one of provisioned"),
    ("NOT kind:gatway", 9, "gateway", "one of standalone"),
    ("NOT adapter:mqt", 12, "mqtt", "one of mqtt"),
    ("NOT last_command_status:faild", 24, "failed", "one of held"),
    ("NOT last_command_failure_class:noack", 31, "no_ack", "one of unreachable"),
    ("NOT risk_reasons:batery", 17, "battery", "one of flapping"),
    ("NOT attr.nonsense:x", 4, None, "No product declares 'attr.nonsense'"),
    ("risk:1 AND attr.batery_rev:B", 11, "attr.battery_rev", "No product declares"),
    ("NOT metric.temprature:>5", 4, "metric.temperature", "No product declares"),
    ("NOT reported.modem.fx:1", 4, "reported.modem.fw", "No product declares"),
    ("NOT reported.modem:1", 4, "reported.modem.fw", "No product declares"),
    ("risk:1 and rssi:2", 7, "AND", "Write AND in capitals"),
    ("region:(a or b)", 10, "OR", "Write OR in capitals"),
    ("not connectivity:online", 0, "NOT", "Write NOT in capitals"),
    ("risk:1 And rssi:2", 7, "AND", "Write AND in capitals"),
    ("rssi:[-80 to -70]", 10, "TO", "not expected"),
    # NOT is the only negation.
    ("tag:winter -lifecycle:retired", 11, "NOT lifecycle", "write NOT"),
    ("cold -store", 5, "NOT store", "write NOT"),
    ("cold -(a OR b)", 5, "NOT", "write NOT"),
    ("(cold)-store", 6, "NOT store", "write NOT"),
    ('tag:-"a b"', 4, "NOT", "write NOT"),
    ("+tag:winter", 0, "tag", "plus sign"),
    ("rssi:+-71", 5, None, "not a number"),
    ("rssi:(-80 OR --60)", 13, None, "not a number"),
    ("attr.x:B*", 7, None, "no wildcard"),
    ("attr:B", 0, None, "needs a key"),
    ("region:x AND", 12, None, "ends too early"),
    ("(region:x", 9, None, "not closed"),
    ('region:"x', 7, None, "quote"),
    ("region:x)", 8, None, "not expected"),
    ("abc~2", 0, None, "Fuzzy"),
    ("/abc/", 0, None, "Regular expressions"),
    ("region:x^2", 7, None, "Boosting"),
    (">5", 0, None, "needs a field"),
    ("rssi:<-70 AND regin:x", 14, "region", "no field"),
    ("a ! b", 2, None, "no word"),
    ("(" * 40 + "a" + ")" * 40, 33, None, "nested deeper"),
    (" OR ".join(["a"] * 300), None, None, "more than 256"),
    ("a" * 5_000, 4_000, None, "longer than"),
]


@pytest.mark.parametrize(("text", "position", "meant", "says"), REFUSED)
def test_an_error_gives_its_position(
    text: str, position: int | None, meant: str | None, says: str
) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, Keys(lambda: DECLARED))

    assert says in caught.value.message
    assert caught.value.did_you_mean == meant
    if position is not None:
        assert caught.value.position == position


@given(
    st.sampled_from(["connectivity", "lifecycle", "cause", "drift", "attr", "metric"]),
    st.text("abcdefgilnorstuvw_", min_size=1, max_size=12),
    st.sampled_from(["", "NOT ", "risk:1 OR NOT "]),
)
def test_a_word_that_nobody_can_mean_is_never_accepted(
    name: str, word: str, before: str
) -> None:
    known = DECLARED.get(name) or BY_NAME[name].vocabulary or ("true", "false")
    assume(word not in known)
    query = f"{before}{name}.{word}:*" if name in DECLARED else f"{before}{name}:{word}"

    with pytest.raises(QueryError) as caught:
        parse(query, Keys(lambda: DECLARED))

    assert query[caught.value.position :].startswith((word, f"{name}.{word}"))


@given(
    st.sampled_from(["rssi", "attr.x"]),
    st.lists(st.integers(-99, 99), min_size=1, max_size=4),
)
def test_a_minus_sign_in_parentheses_belongs_to_its_number(
    name: str, numbers: list[int]
) -> None:
    grouped = parse(f"{name}:({' OR '.join(map(str, numbers))})")
    apart = parse(" OR ".join(f'{name}:"{number}"' for number in numbers))

    assert grouped == apart


def test_versions_are_ordered_as_people_read_them() -> None:
    ordered = ["", "1.0-alpha", "1.0-rc2", "1.0-rc10", "1.0", "1.0b", "1.0.1", "1.9"]
    ordered += ["1.10", "v2.0-1", "2", "10.0"]

    keys = [version_key(text) for text in ordered]

    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert version_key("1.4") == version_key("v1.4.0")
