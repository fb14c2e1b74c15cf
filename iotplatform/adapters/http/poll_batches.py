"""Many polls at once, as the device process answers them: a few queries for all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from iotplatform.adapters.http import ingest
from iotplatform.adapters.http.authentication import DeviceCaller, DeviceThrottle
from iotplatform.adapters.http.parse_body import ADAPTER
from iotplatform.adapters.http.poll_answer import (
    Polled,
    Poller,
    answer_polls,
    make_pollers,
)
from iotplatform.adapters.http.poll_request import PollRequest
from iotplatform.common import tenant_scope
from registry.selectors.credentials import find_valid_secrets_across_tenants
from registry.selectors.devices import IngestDevice, get_ingest_devices_across_tenants

logger = logging.getLogger(__name__)

# Of a poll's first answer: about as many commands as one batch of the bridge.
MOST_POLLS = 100


class Left(Enum):
    """What a batch does not answer itself."""

    TO_VIEW = "to_view"  # the view refuses it, or finds what is wrong with it
    WITHOUT_DATABASE = "without_database"


@dataclass(frozen=True, slots=True)
class Begun:
    """A valid poll, with its answer if there is something to answer now."""

    poller: Poller
    answer: Polled | None


def begin_polls(polls: Sequence[PollRequest]) -> list[Begun | Left]:
    """Authenticate the devices, record their signs of life, claim what is due."""
    try:
        with _as_device_endpoint():
            return _begin(polls)
    except (OperationalError, InterfaceError) as error:
        logger.error("cannot answer %s polls: %s", len(polls), error)
        return [Left.WITHOUT_DATABASE] * len(polls)
    except Exception:
        logger.exception("cannot answer %s polls together", len(polls))
        return [Left.TO_VIEW] * len(polls)


def claim_for_polls(pollers: Sequence[Poller]) -> list[Polled | None]:
    """Claim what is due for waiting polls; None: this one goes on waiting."""
    try:
        with _as_device_endpoint():
            return _together_or_one_by_one(answer_polls, pollers)
    except (OperationalError, InterfaceError) as error:
        logger.error("cannot claim for %s polls: %s", len(pollers), error)
        return [None] * len(pollers)


@contextmanager
def _as_device_endpoint() -> Iterator[None]:
    scope = tenant_scope.TenantScope(door="device", role=tenant_scope.BRIDGE)
    with tenant_scope.scoped(scope):
        try:
            yield
        finally:
            connection.close()


def _begin(polls: Sequence[PollRequest]) -> list[Begun | Left]:
    valid = find_valid_secrets_across_tenants({(p.uid, p.secret) for p in polls})
    found = get_ingest_devices_across_tenants(sorted({uid for uid, _ in valid}))
    accepted = {
        uid: device for uid, device in found.items() if device.adapter == ADAPTER
    }
    over = _over_limit(
        [accepted[p.uid] for p in polls if _is_valid(p, valid, accepted)]
    )
    mine = [p for p in polls if _is_valid(p, valid, accepted) and p.uid not in over]
    ingest.ingest_heartbeats(sorted({p.uid for p in mine}), now=timezone.now())
    pollers = make_pollers(
        [accepted[p.uid] for p in mine], [p.known_version for p in mine]
    )
    answers = answer_polls(pollers)
    begun = iter(map(Begun, pollers, answers))
    kept = {id(poll) for poll in mine}
    return [next(begun) if id(poll) in kept else Left.TO_VIEW for poll in polls]


def _is_valid(
    poll: PollRequest,
    valid: set[tuple[str, str]],
    accepted: dict[str, IngestDevice],
) -> bool:
    return (poll.uid, poll.secret) in valid and poll.uid in accepted


def _over_limit(devices: Sequence[IngestDevice]) -> set[str]:
    """Return the uids of those that have sent too many requests in this minute."""
    names = {f"user:{DeviceCaller(device).pk}": device.uid for device in devices}
    over = DeviceThrottle.find_over_limit(list(names))
    return {names[name] for name in over}


def _together_or_one_by_one(
    answer: Callable[[Sequence[Poller]], list[Polled | None]],
    pollers: Sequence[Poller],
) -> list[Polled | None]:
    """One command that cannot be claimed must not stop those of other devices."""
    try:
        return answer(pollers)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("cannot claim for %s polls together", len(pollers))
        if len(pollers) == 1:
            return [None]
    return [
        found
        for poller in pollers
        for found in _together_or_one_by_one(answer, [poller])
    ]
