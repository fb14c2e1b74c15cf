"""Scenarios: the fault lies with the device."""

from __future__ import annotations

from tests.state.diagnosis_scenarios.shape import GOOD_PATH, QUIET_PATH, case

SCENARIOS = [
    # The device itself.
    case("one sensor is lost, and all its neighbours are healthy", "device"),
    case("the same without a gateway", "device", no_gateway=True),
    case(
        "a small site, the seven others healthy",
        "device",
        no_gateway=True,
        site=(0, 7),
    ),
    case("it keeps disconnecting, no other device does", "device", trouble="flapping"),
    case(
        "what it sends cannot be read, the others of its firmware are read",
        "device",
        trouble="garbled",
    ),
    case(
        "its commands fail, those of its neighbours do not",
        "device",
        trouble="commands",
    ),
    case("a critical alarm, here only", "device", trouble="alarm"),
    case(
        "two of the gateway's nine are lost as well, a usual day",
        "device",
        gateway=(2, 9),
        site=(3, 49),
        firmware=(4, 199),
        model=(5, 299),
        adapter=(8, 449),
        fleet=(9, 499),
    ),
    case(
        "devices that died long ago, evenly over the fleet",
        "device",
        gateway=(1, 9),
        site=(6, 49),
        firmware=(24, 199),
        model=(36, 299),
        adapter=(54, 449),
        fleet=(60, 499),
    ),
    case(
        "a new firmware loses its devices on every site",
        "device",
        "firmware",
        gateway=(1, 9),
        site=(7, 49),
        firmware=(60, 80),
        model=(63, 299),
        adapter=(64, 449),
        fleet=(65, 499),
    ),
    case(
        "a new firmware loses a third of its devices",
        "device",
        "firmware",
        site=(12, 49),
        gateway=(2, 9),
        firmware=(60, 199),
        model=(66, 399),
        adapter=(70, 449),
        fleet=(70, 499),
    ),
    case(
        "one model fails, with every firmware and on every site",
        "device",
        "model",
        gateway=(2, 9),
        site=(11, 49),
        firmware=(35, 199),
        model=(90, 119),
        adapter=(88, 449),
        fleet=(92, 499),
    ),
    case(
        "lost, and people on site found it dead",
        "device",
        known={"feedback": "dead", "is_online": False},
    ),
    case(
        "lost, and people on site found it unplugged",
        "device",
        known={"feedback": "unplugged", "is_online": False},
    ),
    case(
        "reported as unplugged on a day when some others are lost too",
        "device",
        gateway=(1, 9),
        site=(5, 49),
        fleet=(40, 499),
        known={"feedback": "unplugged", "is_online": False},
    ),
    case(
        "a lost device whose last will came before the platform went blind",
        "device",
        known={"is_blind_now": True},
    ),
    case(
        "the path is a little slower than usual, and only this device fails",
        "device",
        trouble="commands",
        known={"path": GOOD_PATH},
    ),
    case(
        "two tries of the whole path failed: both were this device's",
        "device",
        trouble="commands",
        known={"path": QUIET_PATH},
    ),
]
