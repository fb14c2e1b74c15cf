"""What a request leaves on a pooled connection for its next user: nothing.

A pool of one real connection replaces the thread's own, as in a web process. Requests
go through the WSGI handler, which takes the connection and returns it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connection, connections, transaction
from django.test import RequestFactory
from psycopg.pq import TransactionStatus

from iotplatform.common import tenant_scope
from registry import file_responses
from registry.api import devices as devices_api
from registry.api import imports as imports_api
from registry.choices import Role
from registry.models import Device
from registry.selectors import exports
from tests.isolation.conftest import Two

pytestmark = [
    pytest.mark.django_db,
    # Errors while an abandoned connection is cleaned up.
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]
DEVICES, EXPORT = "/api/v1/devices/", "/api/v1/devices/export/?format=ndjson"
SETTINGS = ("tenants", "user_id", "token_id", "door", "unwalled")


@pytest.fixture
def pooled(two: Two) -> Iterator[Any]:
    """The one connection of a pool, which acts as the web's role."""
    own = connections["default"]
    pooled: Any = own.copy()
    pooled.settings_dict["OPTIONS"] |= {
        "options": f"-c role={tenant_scope.WEB}",
        "pool": {"min_size": 1, "max_size": 1, "timeout": 10},
    }
    connections["default"] = pooled
    yield pooled
    pooled.close()
    pooled.close_pool()
    connections["default"] = own


@pytest.fixture
def no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Selectors that forget the tenant: only row security is left."""

    def everything(**_: Any) -> Any:
        return Device.objects.select_related("tenant", "site", "product")

    for module in (devices_api, imports_api):
        monkeypatch.setattr(module, "list_devices", everything)


def ask(path: str, key: str = "", method: str = "GET") -> tuple[int, Any]:
    """Send a request as a server does; its answer is still to be read and closed."""
    headers = {"Authorization": f"Token {key}"} if key else {}
    factory = RequestFactory(headers=headers)
    environ = factory.generic(method, path, content_type="application/json").environ
    statuses: list[int] = []
    server: Any = get_wsgi_application()
    answer = server(environ, lambda line, _: statuses.append(int(line.split()[0])))
    return statuses[0], answer


def devices_of(key: str) -> set[str]:
    """Return the devices that somebody is shown, read and closed as by a server."""
    status, answer = ask(DEVICES, key)
    body = json.loads(b"".join(answer))
    answer.close()
    assert status == 200, body
    return {row["uid"] for row in body["results"]}


def uids_of(two: Two) -> tuple[set[str], set[str]]:
    """Return what devices there are: ours, theirs."""
    with tenant_scope.as_role(tenant_scope.PLATFORM):
        rows = list(Device.objects.values_list("tenant", "uid"))
    connection.close()
    ours = {uid for tenant, uid in rows if tenant == two.ours.tenant.pk}
    return ours, {uid for tenant, uid in rows if tenant == two.theirs.tenant.pk}


def left_behind(pooled: Any) -> tuple[dict[str, str], int, int]:
    """Return the settings of the connection, how many rows it sees, and its id."""
    with pooled.pool.connection() as raw:
        assert raw.info.transaction_status == TransactionStatus.IDLE
        found = {}
        for name in SETTINGS:
            query = "SELECT coalesce(current_setting(%s, true), '')"
            found[name] = raw.execute(query, [f"iot.{name}"]).fetchone()[0]
        found["role"] = raw.execute("SELECT current_user").fetchone()[0]
        (count,) = raw.execute("SELECT count(*) FROM registry_device").fetchone()
        (pid,) = raw.execute("SELECT pg_backend_pid()").fetchone()
    return found, count, pid


NOTHING = dict.fromkeys(SETTINGS, "") | {"role": tenant_scope.WEB}


def answered(two: Two) -> None:
    assert devices_of(two.keys[Role.ADMIN])


def _breaks(two: Two, broken: Callable[..., Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices_api, "list_devices", broken)
        status, answer = ask(DEVICES, two.keys[Role.ADMIN])
        answer.close()
    assert status == 500


def failed(two: Two) -> None:
    def broken(**_: Any) -> Any:
        assert Device.objects.exists()
        raise RuntimeError("after a query")

    _breaks(two, broken)


def failed_in_a_transaction(two: Two) -> None:
    def broken(**_: Any) -> Any:
        with transaction.atomic():
            Device.objects.update(name="to be taken back")
            raise RuntimeError("after a change")

    _breaks(two, broken)


def failed_in_a_statement(two: Two) -> None:
    def broken(**_: Any) -> Any:
        with transaction.atomic(), connection.cursor() as cursor:
            with transaction.atomic():  # a savepoint with its own end
                assert Device.objects.exists()
            cursor.execute("SELECT 1 / (SELECT 0)")

    _breaks(two, broken)


def was_refused(two: Two) -> None:
    status, answer = ask(DEVICES, two.keys[Role.VIEWER], "POST")
    answer.close()
    assert status in (400, 403)


def _begun(two: Two) -> Any:
    status, answer = ask(EXPORT, two.keys[Role.ADMIN])
    pieces = iter(answer)
    assert next(pieces)
    assert status == 200
    return answer


def was_streamed(two: Two) -> None:
    answer = _begun(two)
    assert list(answer)
    answer.close()


def was_abandoned_in_the_middle(two: Two) -> None:
    _begun(two).close()


def broke_in_the_middle(two: Two) -> None:
    def broken(rows: Any) -> Iterator[str]:
        yield from islice(exports.export_ndjson(rows), 1)
        raise RuntimeError("in the middle")

    with pytest.MonkeyPatch.context() as patch:
        kind = file_responses.EXPORTS["ndjson"][1]
        patch.setitem(file_responses.EXPORTS, "ndjson", (broken, kind))
        answer = _begun(two)
        with pytest.raises(RuntimeError):
            list(answer)
        answer.close()


@pytest.mark.parametrize(
    "request_before",
    [
        answered,
        failed,
        failed_in_a_transaction,
        failed_in_a_statement,
        was_refused,
        was_streamed,
        was_abandoned_in_the_middle,
        broke_in_the_middle,
    ],
)
def test_the_next_user_of_a_connection_finds_nothing_of_the_previous_one(
    two: Two, pooled: Any, no_filter: None, request_before: Callable[[Two], None]
) -> None:
    _, theirs = uids_of(two)
    *_, before = left_behind(pooled)

    request_before(two)

    assert left_behind(pooled) == (NOTHING, 0, before)
    assert devices_of(two.their_key) == theirs
    assert left_behind(pooled) == (NOTHING, 0, before)


def test_an_export_stays_in_its_tenant_scope_to_the_end(
    two: Two, pooled: Any, no_filter: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "CHUNK", 1)  # each row is fetched alone
    ours, theirs = uids_of(two)
    assert len(ours) > 2
    assert theirs

    _, answer = ask(EXPORT, two.keys[Role.ADMIN])
    uids = []
    for piece in answer:
        uids.append(json.loads(piece)["uid"])
        assert (
            tenant_scope.current() is None
        )  # between two pieces the thread has no scope
    answer.close()

    assert sorted(uids) == sorted(ours)


@pytest.mark.parametrize("role", Role.values)
def test_a_person_who_lost_their_tenant_sees_no_rows(
    two: Two, pooled: Any, no_filter: None, role: str
) -> None:
    ours, _ = uids_of(two)
    assert devices_of(two.keys[role]) == ours

    with tenant_scope.as_role(tenant_scope.PLATFORM):
        two.members[role].delete()
    connection.close()

    assert devices_of(two.keys[role]) == set()
