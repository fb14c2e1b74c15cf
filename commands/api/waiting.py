"""``?wait=``: answer when the command or job has ended, for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drf_spectacular.utils import OpenApiParameter

from commands.selectors.ended import Awaited, ended_among
from commands.services.end_wakeup import ENDED
from iotplatform.common.query_parameters import whole_number
from iotplatform.common.waiting import LONGEST_WAIT_SECONDS, Waiters

if TYPE_CHECKING:
    from rest_framework.request import Request

WAIT = OpenApiParameter(
    "wait",
    {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS},
    description="Answer when it has ended, at the latest after so many seconds. At"
    " once, with what is known, when too many requests wait already.",
)

waiters = Waiters[Awaited](channel=ENDED, find_ready=ended_among, limit="API_WAITS")


def wait_if_asked(request: Request, awaited: Awaited) -> bool:
    """Wait for the end if ``?wait=`` says so; return whether it may have come.

    Raises BadInput for a ``wait`` that is not a whole number in its range.
    """
    seconds = whole_number(request, "wait", most=LONGEST_WAIT_SECONDS)
    if not seconds or ended_among([awaited]):
        return False
    waiters.wait(awaited, seconds=seconds)
    return True
