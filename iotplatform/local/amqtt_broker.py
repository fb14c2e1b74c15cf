"""The amqtt broker with Mosquitto's files, for machines without Mosquitto.

    python -m iotplatform.local.amqtt_broker FOLDER DEVICE_PORT PLATFORM_PORT

Plugins of amqtt are not enough: it asks them too late (a stranger's CONNECT has
replaced a device's session before it is refused), never about wills, and it sends a
new client the retained messages of all clients' subscriptions. So this module checks
the rights inside the broker.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import amqtt.broker
from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig, ListenerConfig
from amqtt.errors import MQTTError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

from iotplatform.local.broker_rights import Rights
from iotplatform.local.ports import LOOPBACK

DEVICES, PLATFORM = "devices", "platform"
LISTENER = "iotplatform.listener"
VERIFIER = "iotplatform.verifier"
RELOAD_SECONDS = 0.5
SHUTDOWN_SECONDS = 3

rights: dict[str, Rights] = {}
listener_of_task: ContextVar[str] = ContextVar("listener")
newcomer_of_task: ContextVar[Session] = ContextVar("newcomer")


def may_connect(session: Session, listener: str) -> bool:
    """Whether to accept this CONNECT: user and secret, and the topic of its will."""
    table = rights[listener]
    table.refresh()
    user, secret = session.username or "", session.password or ""
    if not user or not table.admits(user, secret):
        return False
    if session.will_flag and not table.may_write(user, session.will_topic or ""):
        return False
    session.attributes |= {LISTENER: listener, VERIFIER: table.verifiers[user]}
    if listener == DEVICES:
        # Otherwise a device could take over another's session by its client id.
        session.client_id = user
    return True


class GuardedHandler(BrokerProtocolHandler):  # type: ignore[misc]
    """Refuses a stranger before the broker looks for a session to resume."""

    @classmethod
    async def init_from_connect(
        cls, reader: ReaderAdapter, writer: WriterAdapter, *args: Any, **kwargs: Any
    ) -> tuple[BrokerProtocolHandler, Session]:
        handler, session = await super().init_from_connect(
            reader, writer, *args, **kwargs
        )
        if not may_connect(session, listener_of_task.get()):
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            await writer.close()
            raise MQTTError(f"{session.username} is refused")
        newcomer_of_task.set(session)
        return handler, session


class GuardedBroker(Broker):  # type: ignore[misc]
    """amqtt's broker with the rights of our files."""

    async def _client_connected(
        self, listener_name: str, reader: ReaderAdapter, writer: WriterAdapter
    ) -> None:
        listener_of_task.set(listener_name)  # each connection runs in its own task
        await super()._client_connected(listener_name, reader, writer)

    async def _initialize_client_session(
        self, *args: Any
    ) -> tuple[BrokerProtocolHandler, Session]:
        handler, session = await super()._initialize_client_session(*args)
        # Copy to a resumed session what amqtt does not copy.
        newcomer = newcomer_of_task.get()
        session.will_retain = newcomer.will_retain
        session.clean_session = newcomer.clean_session
        session.attributes |= newcomer.attributes
        return handler, session

    async def _authenticate(self, session: Session, _: ListenerConfig) -> bool:
        return True  # GuardedHandler has already refused all others

    async def _topic_filtering(
        self, session: Session, topic: str, action: Action
    ) -> bool:
        table = rights[session.attributes[LISTENER]]
        user = session.username or ""
        if action == Action.PUBLISH:
            return table.may_write(user, topic)
        if action == Action.SUBSCRIBE:
            return table.may_subscribe(user, topic)
        return table.may_read(user, topic)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        # At a CONNECT, amqtt calls this for the filters of all sessions.
        subscribers = self._subscriptions.get(subscription[0], [])
        if any(known.client_id == session.client_id for known, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(
                subscription, session
            )

    async def reload_for_ever(self) -> None:
        """Reread changed files; disconnect sessions whose secret is gone."""
        # refresh() cannot tell: a CONNECT may have just reread the files.
        cut_by: dict[str, dict[str, str]] = {}
        while True:
            for name, table in rights.items():
                table.refresh()
                if cut_by.get(name) is not table.verifiers:
                    cut_by[name] = table.verifiers
                    await self._cut_strangers(name, table)
            await asyncio.sleep(RELOAD_SECONDS)

    async def _cut_strangers(self, listener: str, table: Rights) -> None:
        for session, handler in list(self._sessions.values()):
            attributes = session.attributes
            if attributes.get(LISTENER) != listener:
                continue
            if table.verifiers.get(session.username or "") == attributes[VERIFIER]:
                continue
            if session.transitions.is_connected():
                await handler.handle_connection_closed()


def make_config(device_port: int, platform_port: int) -> BrokerConfig:
    """Return a configuration with two listeners on loopback, and no plugins."""
    listeners = {
        "default": ListenerConfig(bind=None),
        DEVICES: ListenerConfig(bind=f"{LOOPBACK}:{device_port}", max_connections=-1),
        PLATFORM: ListenerConfig(
            bind=f"{LOOPBACK}:{platform_port}", max_connections=-1
        ),
    }
    return BrokerConfig(listeners=listeners, plugins={})


async def serve(folder: Path, device_port: int, platform_port: int) -> None:
    """Run until SIGTERM or SIGINT."""
    for name in (DEVICES, PLATFORM):
        rights[name] = Rights(folder / f"{name}.passwd", folder / f"{name}.acl")
        rights[name].refresh()
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    # SIGHUP tells Mosquitto to reload; here the files are watched anyway.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    # amqtt's broker creates its connections with this name.
    amqtt.broker.BrokerProtocolHandler = GuardedHandler
    broker = GuardedBroker(make_config(device_port, platform_port))
    await broker.start()
    (folder / "broker.pid").write_text(str(os.getpid()))
    reloading = asyncio.ensure_future(broker.reload_for_ever())
    stopping = asyncio.ensure_future(asked_to_stop.wait())
    done, _ = await asyncio.wait(
        [reloading, stopping], return_when=asyncio.FIRST_COMPLETED
    )
    if reloading in done:
        reloading.result()  # it ends only by an error: let supervisor restart us
    await asyncio.wait_for(broker.shutdown(), SHUTDOWN_SECONDS)


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    folder, device_port, platform_port = sys.argv[1:]
    try:
        asyncio.run(serve(Path(folder), int(device_port), int(platform_port)))
    except TimeoutError:
        os._exit(0)  # connections that do not close end with the process


if __name__ == "__main__":
    main()
