"""The web application, which on request dies between the commit and the answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import Any

from iotplatform.wsgi import application as platform

DIE = "HTTP_X_DIE_BEFORE_THE_ANSWER"


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    answer: Iterable[bytes] = platform(environ, start_response)
    if DIE in environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
