"""A request that is repeated is done once: at the same time, and after a kill."""

from __future__ import annotations

import http.client
import json
import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from commands.models import Command, Job
from commands.services.commands import request_command
from registry.choices import Role, TokenScope
from registry.models import Device
from registry.services.tokens import create_token
from tests.commands.test_jobs import fleet_of
from tests.factories import MembershipFactory
from tests.waiting import PATIENCE
from tests.web_process import web_process

pytestmark = pytest.mark.django_db(transaction=True)
KEYS, THREADS = 10, 8
KEYS_AT_FULL_SIZE, THREADS_AT_FULL_SIZE = 100, 50
Asked = dict[str, tuple[int, bool]]  # by key: the command, and whether it was new


def ask_all(devices: list[Device], keys: int, start: Barrier, seed: int) -> Asked:
    """Ask with every key, each thread in another order."""
    order = list(range(keys))
    random.Random(seed).shuffle(order)
    start.wait()
    answers: Asked = {}
    for number in order:
        command, is_new = request_command(
            device=devices[number % len(devices)],
            name="reboot",
            params={},
            policy=None,
            idempotency_key=f"key-{number}",
            actor=None,
        )
        answers[f"key-{number}"] = (command.pk, is_new)
    connection.close()
    return answers


def test_many_threads_with_the_same_keys_make_one_command_a_key(is_long: bool) -> None:
    keys = KEYS_AT_FULL_SIZE if is_long else KEYS
    threads = THREADS_AT_FULL_SIZE if is_long else THREADS
    devices = [unit.device for unit in fleet_of(4)]
    start = Barrier(threads)

    with ThreadPoolExecutor(threads) as pool:
        futures = [
            pool.submit(ask_all, devices, keys, start, seed) for seed in range(threads)
        ]
        answers = [future.result() for future in futures]

    assert Command.objects.count() == keys
    for number in range(keys):
        given = [answer[f"key-{number}"] for answer in answers]
        assert len({pk for pk, _ in given}) == 1
        assert sum(is_new for _, is_new in given) == 1


def post(port: int, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    """Return the status and the body of an answer; status 0 if none came."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        given = {"Content-Type": "application/json", **headers}
        client.request("POST", path, json.dumps(body), given)
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())
    except (ConnectionError, http.client.HTTPException):
        return 0, None
    finally:
        client.close()


def test_a_repeat_after_a_kill_before_the_answer_gets_the_first_one() -> None:
    [unit] = fleet_of(1)
    uid, tenant = unit.device.uid, unit.device.tenant
    person = MembershipFactory.create(tenant=tenant, role=Role.MANAGER).user
    _, key = create_token(user=person, name="script", scopes=TokenScope.values)
    headers = {"Authorization": f"Token {key}"}
    job = {"name": "Night", "devices": [uid], "command": {"name": "reboot"}}
    asked = (
        ("/api/v1/commands/", {"device": uid, "name": "reboot"}, Command),
        ("/api/v1/jobs/", job, Job),
    )

    with web_process(application="tests.commands.dying_web:application") as port:
        for path, body, model in asked:
            headers["Idempotency-Key"] = path
            dying = {"X-Die-Before-The-Answer": "1"}
            assert post(port, path, body, **headers, **dying) == (0, None)
            [made] = model.objects.all()
            status, answer = post(port, path, body, **headers)
            assert (status, answer["id"]) == (200, str(made.public_id))
            assert model.objects.count() == 1
