"""How simulated devices behave, and which device behaves how."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

OLD_FIRMWARE, MAIN_FIRMWARE, NEW_FIRMWARE = "1.3.9", "1.4.2", "1.5.0"


@dataclass(frozen=True)
class Profile:
    """One kind of behaviour; the defaults describe a healthy device."""

    name: str
    # Mean time between two disconnects without a goodbye; 0: never.
    drop_seconds: float = 0.0
    absence_seconds: tuple[float, float] = (20.0, 120.0)
    # How long it is awake, and how long it says that it sleeps; zero: it never sleeps.
    # A gateway never does.
    awake_seconds: tuple[float, float] = (0.0, 0.0)
    sleep_seconds: tuple[float, float] = (0.0, 0.0)
    ack_seconds: tuple[float, float] = (0.0, 0.3)
    execute_seconds: tuple[float, float] = (0.2, 1.5)
    # Shares of its answers (0 to 1): sent twice, an acknowledgement that is not sent,
    # one that comes ``late_seconds`` later, a crash between the effect and the answer.
    repeat_share: float = 0.0
    lost_share: float = 0.0
    late_share: float = 0.0
    late_seconds: float = 10.0
    crash_share: float = 0.0
    is_finishing: bool = True
    is_rejecting: bool = False
    # Battery use in percent per hour.
    battery_per_hour: float = 0.02
    battery_range: tuple[float, float] = (55.0, 100.0)
    firmware: str | None = None


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("healthy"),
        Profile("flaky", drop_seconds=420.0),
        Profile("slow_ack", ack_seconds=(8.0, 25.0)),
        Profile("never_finishes", is_finishing=False),
        Profile("rejects", is_rejecting=True),
        Profile("low_battery", battery_per_hour=3.0, battery_range=(4.0, 14.0)),
        Profile("old_firmware", firmware=OLD_FIRMWARE),
        Profile(
            "unreliable",
            repeat_share=0.3,
            lost_share=0.2,
            late_share=0.1,
            crash_share=0.05,
        ),
        Profile(
            "unreliable_sleeper",
            awake_seconds=(6.0, 12.0),
            sleep_seconds=(4.0, 9.0),
            repeat_share=0.3,
            lost_share=0.2,
            late_share=0.1,
            crash_share=0.05,
        ),
    )
}
DEFAULT_MIX = {
    "healthy": 78.0,
    "flaky": 8.0,
    "slow_ack": 4.0,
    "never_finishes": 1.0,
    "rejects": 1.0,
    "low_battery": 4.0,
    "old_firmware": 4.0,
}


class BadMix(ValueError):
    """A profile mix that cannot be read."""


def parse_mix(text: str) -> dict[str, float]:
    """Parse "healthy=90,flaky=10"; a name alone has the weight 1."""
    mix: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = part.partition("=")
        if name not in PROFILES:
            raise BadMix(f"{name!r} is not a profile; use {', '.join(PROFILES)}")
        try:
            mix[name] = float(weight or 1)
        except ValueError:
            raise BadMix(f"the weight of {name} is not a number: {weight!r}") from None
        if not 0 <= mix[name] < float("inf"):
            raise BadMix(f"the weight of {name} is not a number ≥ 0")
    if not sum(mix.values()):
        raise BadMix("no profile has a weight")
    return mix


def choose(mix: dict[str, float], *, seed: int, uid: str) -> Profile:
    """Return the profile of a device: the same for the same mix, seed and uid."""
    draw = Random(f"profile:{seed}:{uid}")
    return PROFILES[draw.choices(list(mix), weights=list(mix.values()))[0]]


def first_firmware(profile: Profile, *, seed: int, uid: str) -> str:
    """Return the firmware of a device that was never updated."""
    if profile.firmware:
        return profile.firmware
    draw = Random(f"firmware:{seed}:{uid}")
    return draw.choices([MAIN_FIRMWARE, NEW_FIRMWARE], weights=[60, 40])[0]
