"""Limit the requests of each API key; without Redis, all requests are allowed."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

logger = logging.getLogger(__name__)

# After a failure, do not ask Redis for this long: each try may cost its time-out.
REST_SECONDS = 10.0


PERIODS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def parse_rate(rate: str) -> tuple[int, int]:
    """Return the number and the seconds of ``6000/min``; the number 0: no limit."""
    number, _, period = rate.partition("/")
    return int(number), PERIODS[period[:1]]


class PerKeyThrottle(BaseThrottle):
    """Counts the requests of a key (else a user, else an address) in fixed windows.

    One counter per window, not DRF's list of times: at thousands of requests a minute,
    each request would read and write that whole list.
    """

    rate_name = "key"
    resting_until = 0.0

    def __init__(self) -> None:
        self._wait = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        """Whether the key has requests left in this window."""
        rate = api_settings.DEFAULT_THROTTLE_RATES[self.rate_name]
        limit, seconds = parse_rate(str(rate))
        if not limit or time.monotonic() < self.resting_until:
            return True
        now = time.time()
        window = int(now // seconds)
        self._wait = (window + 1) * seconds - now
        try:
            count = _count(f"throttle:{self._who(request)}:{window}", seconds)
        except (RedisError, OSError) as error:
            self._rest(error)
            return True
        return count <= limit

    @classmethod
    def find_over_limit(cls, callers: Sequence[str]) -> set[str]:
        """Count a request of each caller; return those without requests left.

        A caller is named as ``_who`` names it. One round trip for all of them.
        """
        limit, seconds = parse_rate(
            str(api_settings.DEFAULT_THROTTLE_RATES[cls.rate_name])
        )
        if not limit or not callers or time.monotonic() < cls.resting_until:
            return set()
        window = int(time.time() // seconds)
        names = [f"throttle:{caller}:{window}" for caller in callers]
        try:
            counts = _count_all(names, seconds)
        except (RedisError, OSError) as error:
            cls._rest(error)
            return set()
        return {
            caller
            for caller, count in zip(callers, counts, strict=True)
            if count > limit
        }

    @classmethod
    def _rest(cls, error: Exception) -> None:
        logger.warning("cannot count requests, Redis does not answer: %s", error)
        cls.resting_until = time.monotonic() + REST_SECONDS

    def wait(self) -> float:
        """Seconds until the next window, for Retry-After."""
        return self._wait

    def _who(self, request: Request) -> str:
        key_id = getattr(request.auth, "pk", None)
        if key_id is not None:
            return f"key:{key_id}"
        if request.user and request.user.is_authenticated:
            return f"user:{request.user.pk}"
        return f"address:{self.get_ident(request)}"


def _count(key: str, seconds: int) -> int:
    """Count one more request; the counter expires shortly after its window."""
    if cache.add(key, 1, timeout=seconds + 5):
        return 1
    try:
        return cache.incr(key)
    except ValueError:  # the key expired between the two calls, or Redis was emptied
        return 1


def _count_all(keys: Sequence[str], seconds: int) -> list[int]:
    """Count one more request of each key, in one pipeline."""
    redis: Any = cache
    names = [redis.make_and_validate_key(key) for key in keys]
    with redis._cache.get_client(write=True).pipeline(transaction=False) as pipe:
        for name in names:
            pipe.incr(name)
            pipe.expire(name, seconds + 5)
        return [int(count) for count in pipe.execute()[::2]]
