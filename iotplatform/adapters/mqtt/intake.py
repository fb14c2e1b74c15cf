"""From received MQTT messages to one committed batch; no message is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from iotplatform.adapters.isolation import ingest_isolated
from iotplatform.adapters.mqtt.link import Received
from iotplatform.common.messages import Undecodable, Uplink, parse
from registry.choices import Adapter
from state.services.dead_letters import DeadLetterDraft

ADAPTER = Adapter.MQTT.value


def commit(
    messages: Sequence[Received], *, are_ours: Callable[[], bool] = lambda: True
) -> None:
    """Ingest messages; when it returns, all of them may be acknowledged.

    ``are_ours`` says whether the database session that writes still owns the slots of
    the messages. Django would silently open another session, and write what another
    bridge has taken over. Raises DatabaseAway.
    """
    uplinks: list[Uplink] = []
    dead: list[DeadLetterDraft] = []
    for message in messages:
        # A message with the retain flag is old. It proves nothing about the device now,
        # and it is nobody's mistake.
        if not message.retained:
            _read(message, uplinks, dead)
    # A dead letter that cannot be recorded is dropped: other messages wait behind it.
    ingest_isolated(
        uplinks,
        dead,
        now=datetime.now(UTC),
        may_write=are_ours,
        drop_unrecordable=True,
    )


def _read(
    message: Received, uplinks: list[Uplink], dead: list[DeadLetterDraft]
) -> None:
    topic = message.topic.decode("utf-8", "replace")
    try:
        uplinks.append(
            parse(
                topic,
                message.payload,
                retained=False,
                arrived_at=message.at,
                adapter=ADAPTER,
            )
        )
    except Undecodable as error:
        dead.append(
            DeadLetterDraft(
                topic=topic,
                adapter=ADAPTER,
                reason=error.reason,
                detail=error.detail,
                payload=message.payload,
                uid=error.uid,
            )
        )
