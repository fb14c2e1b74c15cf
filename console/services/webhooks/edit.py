"""Webhooks and the hosts that may be private: made, changed, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from django.db import IntegrityError, transaction
from django.utils import timezone

from console.choices import Channel
from console.exceptions import WebhookRefused
from console.models import Notification, OutgoingEvent, Webhook, WebhookHost
from console.services.webhooks.addresses import (
    HOST,
    RefusedAddress,
    Url,
    check_url,
    read_url,
    resolve,
)
from console.services.webhooks.event_types import patterns_of
from console.services.webhooks.signing import encrypt_secret, new_secret
from iotplatform.common.ids import new_public_id
from iotplatform.common.problems import BadInput

if TYPE_CHECKING:
    from registry.models import Tenant, User

LONGEST_NAME = 200
MOST_WEBHOOKS = 50  # of a tenant
TEST_TYPE = "test.sent"


class WebhookFields(TypedDict, total=False):
    """What a webhook has; what is left out of a change stays."""

    name: str
    url: str
    events: list[str]
    is_enabled: bool


def create_webhook(
    *, tenant: Tenant, actor: User | None, **fields: Unpack[WebhookFields]
) -> tuple[Webhook, str]:
    """Make a webhook; return it and its secret, which nobody sees again.

    Raises BadInput naming each wrong field (``url`` for a refused address), and
    WebhookRefused for a name that is taken, or when there are too many.
    """
    if Webhook.objects.filter(tenant=tenant).count() >= MOST_WEBHOOKS:
        raise WebhookRefused(f"A tenant has at most {MOST_WEBHOOKS} webhooks.")
    secret = new_secret()
    row = Webhook(tenant=tenant, created_by=actor, secret=encrypt_secret(secret))
    return _save(row, fields), secret


@transaction.atomic
def change_webhook(row: Webhook, **fields: Unpack[WebhookFields]) -> Webhook:
    """Change what is given; raises what ``create_webhook`` raises."""
    rows = Webhook.objects.select_related("tenant", "created_by")
    locked = rows.select_for_update(no_key=True, of=("self",)).get(pk=row.pk)
    return _save(locked, fields)


def delete_webhook(row: Webhook) -> None:
    """Delete a webhook with what waits for it and its delivery log."""
    row.delete()


@transaction.atomic
def send_test(row: Webhook) -> Notification:
    """Queue a message that says that it is a test; return its row in the log."""
    now = timezone.now()
    event = OutgoingEvent.objects.create(
        public_id=new_public_id(),
        tenant_id=row.tenant_id,
        order_key="test",
        type=TEST_TYPE,
        subject=str(row.public_id),
        at=now,
        data={"text": "This is a test."},
        is_spread=True,
    )
    return Notification.objects.create(
        tenant=row.tenant,
        channel=Channel.WEBHOOK,
        target=row.name,
        type=event.type,
        subject=event.subject,
        webhook=row,
        event=event,
        order_key=f"test:{event.pk}",
        due_at=now,
        created_at=now,
    )


def allow_host(host: str, *, by: User) -> WebhookHost:
    """Allow ``name:port`` as a target; raises BadInput naming ``host``."""
    text = host.strip().lower()
    name, colon, port = text.rpartition(":")
    plain = name.removeprefix("[").removesuffix("]")
    good = bool(colon) and port.isascii() and port.isdigit() and len(port) <= 5
    good = good and 0 < int(port or 0) < 65_536
    good = good and bool(HOST.fullmatch(name) or (plain != name and ":" in plain))
    if not good or len(text) > 300:
        raise BadInput(host='A name and a port, as in "hooks.inside.example:8443".')
    place = Url("https", plain, int(port), "/").place
    made, _ = WebhookHost.objects.get_or_create(host=place, defaults={"added_by": by})
    return made


def disallow_host(row: WebhookHost) -> None:
    """Take a host off the list: what goes there is refused from now on."""
    row.delete()


def is_listed(url: Url) -> bool:
    """Whether a superuser has listed the host of this URL."""
    return WebhookHost.objects.filter(host=url.place).exists()


def _save(row: Webhook, fields: WebhookFields) -> Webhook:
    errors: list[dict[str, Any]] = []
    if "name" in fields:
        row.name = fields["name"].strip()
    if not row.name or len(row.name) > LONGEST_NAME or "\0" in row.name:
        text = f"1 to {LONGEST_NAME} characters."
        errors.append({"field": "name", "message": text})
    if "url" in fields:
        row.url = fields["url"]
        if refusal := _refusal(row.url):
            errors.append({"field": "url", "message": refusal})
    if "events" in fields:
        row.events = fields["events"]
        row.patterns, unknown = patterns_of(row.events)
        if unknown or not row.patterns:
            text = f"No such event: {unknown[0]}." if unknown else "One or more."
            errors.append({"field": "events", "message": text})
    row.is_enabled = fields.get("is_enabled", row.is_enabled)
    if errors:
        raise BadInput(errors=errors)
    row.resumes_at = None
    with _name_free():
        row.save()
    return row


def _refusal(text: str) -> str:
    """Return why a URL is refused; a name that is unknown just now is not.

    Each delivery checks again, and connects to the address that it has checked.
    """
    try:
        url = read_url(text)
        listed = is_listed(url)
        check_url(url, is_listed=listed)
        resolve(url, is_listed=listed)
    except RefusedAddress as error:
        return str(error)
    except (OSError, UnicodeError):
        return ""
    return ""


@contextmanager
def _name_free() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "console_webhook_name_once" not in str(error):
            raise
        message = "A webhook with this name already exists."
        errors = [{"field": "name", "message": message}]
        raise WebhookRefused(message, errors=errors) from error
