"""Which stores this start uses, embedded or external, and their addresses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from iotplatform.common.private_files import write_private
from iotplatform.local.broker import Broker, find_mosquitto
from iotplatform.local.external import (
    check_reachable,
    original_environment,
    store_urls,
)
from iotplatform.local.layout import Layout
from iotplatform.local.orphan_processes import MARK
from iotplatform.local.ports import free_port, public_port
from iotplatform.local.postgres import ROLE, Postgres
from iotplatform.local.programs import Program, store
from iotplatform.local.valkey import Valkey

PORTS_FILE = "ports.json"


@dataclass(frozen=True)
class Stores:
    """The stores of one start; None for each external one."""

    layout: Layout
    postgres: Postgres | None
    valkey: Valkey | None
    broker: Broker | None
    port: int
    mqtt_port: int | None
    values: dict[str, str]
    inherited: dict[str, str]

    def programs(self) -> list[Program]:
        """The embedded stores, as programs for supervisor."""
        mark = str(self.layout.root)
        found = []
        if self.postgres:
            # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for clients.
            command = self.postgres.command()
            found.append(store("postgres", command, mark=mark, stop="INT"))
        if self.valkey:
            found.append(store("valkey", self.valkey.command(), mark=mark))
        if self.broker and self.broker.is_stand_in:
            command = self.broker.command()
            found.append(Program("broker", command, "stores", starts_with_stack=True))
        elif self.broker:
            found.append(store("broker", self.broker.command(), mark=mark))
        return found

    def environment(self) -> dict[str, str]:
        """The environment of all our processes."""
        return self.inherited | self.values | {MARK: str(self.layout.root)}

    def write_env_file(self) -> None:
        """Write the addresses that `manage.py` needs in another terminal."""
        lines = [f"{key}={value}" for key, value in sorted(self.values.items())]
        write_private(self.layout.env_file, "\n".join(lines) + "\n")


def choose_stores(layout: Layout, say: Callable[[str], None]) -> Stores:
    """Check external stores, and choose ports and passwords of the embedded ones.

    Raises SetupError for a store that does not answer, or a port that is in use.
    """
    environment = original_environment()
    urls = store_urls(environment)
    check_reachable(urls)
    remembered = layout.read_json(PORTS_FILE)
    secrets = layout.secrets()

    def port_of(name: str) -> int:
        known = remembered.get(name)
        remembered[name] = free_port(known if isinstance(known, int) else None)
        return int(str(remembered[name]))

    port = public_port("PORT", environment.get("PORT", ""), 8000, say)
    postgres = valkey = broker = mqtt_port = None
    if "DATABASE_URL" not in urls:
        password = secrets["postgres_password"]
        postgres = Postgres.at(
            layout.postgres, port=port_of("postgres"), password=password
        )
        urls["DATABASE_URL"] = postgres.url(ROLE, secrets["database_password"])
    if "REDIS_URL" not in urls:
        password = secrets["valkey_password"]
        valkey = Valkey.at(layout.valkey, port=port_of("valkey"), password=password)
        urls["REDIS_URL"] = valkey.url
    if "MQTT_URL" not in urls:
        wanted = environment.get("MQTT_PORT", "")
        mqtt_port = public_port("MQTT_PORT", wanted, 1883, say)
        broker = Broker.at(
            layout.broker,
            device_port=mqtt_port,
            platform_port=port_of("broker"),
            password=secrets["bridge_password"],
            mosquitto=find_mosquitto(),
        )
        urls["MQTT_URL"] = broker.url
    layout.write_json(PORTS_FILE, remembered)
    values = urls | _other_values(layout, environment, port, mqtt_port)
    return Stores(
        layout, postgres, valkey, broker, port, mqtt_port, values, environment
    )


def _other_values(
    layout: Layout, environment: dict[str, str], port: int, mqtt_port: int | None
) -> dict[str, str]:
    """The values of run/env that are not URLs of stores."""
    way = "files" if mqtt_port else "none"  # only the embedded broker has a port here
    values = {
        "IOT_DATA_DIR": str(layout.root),
        "SECRET_KEY": environment.get("SECRET_KEY") or layout.secrets()["secret_key"],
        "BROKER_CREDENTIALS": environment.get("BROKER_CREDENTIALS") or way,
        "PORT": str(port),
    }
    return values | ({"MQTT_PORT": str(mqtt_port)} if mqtt_port else {})
