"""The story of the demo's last three days; it is told once, to its first devices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from commands.models import Job
from iotplatform.simulator.demo.cast import TENANT, find_cast
from iotplatform.simulator.demo.fleet import DemoDevice
from iotplatform.simulator.demo.past_commands import send_commands
from iotplatform.simulator.demo.past_jobs import (
    install_on_the_bad_batch,
    restart_after_the_network_change,
    turn_lights_off,
)
from iotplatform.simulator.demo.past_operations import (
    keep_bad_messages,
    raise_alarms,
    replace_a_battery,
    replace_a_switch,
    save_cohorts,
    upload_firmware,
    watch_values,
)
from iotplatform.simulator.demo.replay import PastDevices


def tell_story(
    fleet: Sequence[DemoDevice], speakers: PastDevices, *, now: datetime
) -> None:
    """Let people of acme work for three days with devices that have just connected.

    Nothing happens where they have worked before, or if the fleet is too small.
    """
    cast = find_cast(fleet, speakers, now=now)
    if cast is None or Job.objects.filter(tenant__slug=TENANT).exists():
        return
    # In the order of time: ids are given in it, and presence never goes back.
    upload_firmware(cast)
    save_cohorts(cast)
    turn_lights_off(cast)
    install_on_the_bad_batch(cast)
    replace_a_battery(cast)
    watch_values(cast)
    raise_alarms(cast)
    restart_after_the_network_change(cast)
    send_commands(cast)
    keep_bad_messages(cast)
    replace_a_switch(cast)
