"""`manage.py simulate`: simulate devices over real MQTT connections."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone

from iotplatform.common.counts import counted
from iotplatform.simulator.address import BadAddress, find_address
from iotplatform.simulator.demo.targets import demo_targets_across_tenants
from iotplatform.simulator.demo.waiting import is_heard_across_tenants
from iotplatform.simulator.memory import DamagedMemory
from iotplatform.simulator.profiles import DEFAULT_MIX, PROFILES, BadMix, parse_mix
from iotplatform.simulator.scenes.ask import SceneRefused, ask_for_scene, require_free
from iotplatform.simulator.scenes.choice import SCENES, NoFit, choose
from iotplatform.simulator.scenes.fleet import read_fleet_across_tenants
from iotplatform.simulator.secrets import UnusableKey, device_secret, load_key
from iotplatform.simulator.targets import BadTargets, Target, numbered, read_uids
from iotplatform.simulator.world import Plan, World

logger = logging.getLogger(__name__)

MOST_DEVICES = 100_000
WARN_EVERY_SECONDS, LOOK_EVERY_SECONDS = 30.0, 0.5


class Command(BaseCommand):
    """Simulate devices until SIGINT or SIGTERM; then all of them send a goodbye."""

    help = "Simulate many devices in one process, over real MQTT connections."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        mix = ",".join(f"{name}={weight:g}" for name, weight in DEFAULT_MIX.items())
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--devices", type=int, help="how many; uids sim-00001 …")
        who.add_argument("--uids-from", type=Path, help="a file with one uid per line")
        who.add_argument("--demo", action="store_true", help="the demo fleet")
        who.add_argument(
            "--scene", choices=SCENES, help="let the running simulator play a trouble"
        )
        parser.add_argument(
            "--minutes", type=int, default=3, help="of the scene; then all is as before"
        )
        parser.add_argument(
            "--seed", type=int, default=1, help="the same seed, the same behaviour"
        )
        parser.add_argument(
            "--profiles", default="", help=f"{', '.join(PROFILES)}; default {mix}"
        )
        parser.add_argument("--host", default="", help="host of the broker")
        parser.add_argument(
            "--port", type=int, help="port for devices; default MQTT_PORT or MQTT_URL"
        )
        parser.add_argument(
            "--secret-key", type=Path, help="default $IOT_DATA_DIR/simulator.key"
        )
        parser.add_argument(
            "--show-secrets", action="store_true", help="print uids and secrets, exit"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["scene"]:
            self._play(options["scene"], minutes=options["minutes"])
            return
        try:
            targets = _targets(options)
            key = load_key(options["secret_key"] or settings.DATA_DIR / "simulator.key")
            plan = Plan(
                address=find_address(
                    host=options["host"],
                    port=options["port"],
                    configured_port=_configured_port(),
                    mqtt_url=settings.MQTT_URL,
                ),
                key=key,
                folder=settings.DATA_DIR / "simulator",
                seed=options["seed"],
                mix=parse_mix(options["profiles"])
                if options["profiles"]
                else DEFAULT_MIX,
            )
            if options["show_secrets"]:
                self._show(targets, plan)
                return
            world = World(plan)
        except (
            BadAddress,
            BadMix,
            BadTargets,
            UnusableKey,
            DamagedMemory,
            OSError,
        ) as error:
            raise CommandError(str(error)) from error
        asyncio.run(_run(world, targets, is_demo=options["demo"]))

    def _play(self, scene: str, *, minutes: int) -> None:
        folder = settings.DATA_DIR / "simulator"
        try:
            require_free(folder, minutes=minutes)
            choice = choose(scene, read_fleet_across_tenants())
            ask_for_scene(scene, choice, folder=folder, minutes=minutes)
        except (SceneRefused, NoFit, DatabaseError, OSError) as error:
            raise CommandError(str(error)) from error
        ends = f"It ends by itself after {counted(minutes, 'minute')}."
        self.stdout.write(f"{choice.text} {ends}")

    def _show(self, targets: list[Target], plan: Plan) -> None:
        for target in targets:
            secret = device_secret(plan.key, target.uid)
            self.stdout.write(f"{target.uid} {secret}")


def _configured_port() -> str:
    """The port that the person set, else the one that the embedded stack chose."""
    chosen = os.environ.get("MQTT_DEVICE_PORT", "")
    return os.environ.get("MQTT_PORT", "") or chosen


def _targets(options: dict[str, Any]) -> list[Target]:
    if options["uids_from"]:
        targets = read_uids(options["uids_from"])
    elif options["demo"]:
        targets = _demo_targets()
    else:
        if not 1 <= options["devices"] <= MOST_DEVICES:
            raise BadTargets(f"--devices must be from 1 to {MOST_DEVICES}")
        targets = numbered(options["devices"])
    if not targets and not options["demo"]:
        raise BadTargets("there are no devices to simulate")
    return targets


def _demo_targets() -> list[Target]:
    try:
        return demo_targets_across_tenants()
    except DatabaseError as error:
        raise BadTargets(f"cannot read the demo fleet: {error}") from error
    finally:
        connections.close_all()  # a simulator holds no connection while it runs


def _is_heard(since: datetime) -> bool:
    try:
        return is_heard_across_tenants(since=since)
    except DatabaseError:
        return False
    finally:
        connections.close_all()


async def _until_heard(world: World) -> None:
    """Keep the demo's devices back until a bridge receives messages.

    A device reports when it connects and not again: without a bridge that is lost.
    """
    began = timezone.now()
    warned_at = time.monotonic()
    while not world.is_stopping and not await asyncio.to_thread(_is_heard, began):
        if time.monotonic() - warned_at > WARN_EVERY_SECONDS:
            warned_at = time.monotonic()
            logger.warning("no bridge listens yet; the devices wait for one")
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _run(world: World, targets: list[Target], *, is_demo: bool) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, world.stop)

    if is_demo:
        await _until_heard(world)

    async def reread() -> list[Target]:
        return await asyncio.to_thread(_demo_targets)

    await world.run(targets, reread=reread if is_demo else None)
