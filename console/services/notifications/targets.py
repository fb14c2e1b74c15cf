"""The targets of a notification rule: checked, and in the form that the table keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from console.choices import TargetKind
from console.models import Webhook, WebhookHost
from console.services.notifications.chat import check_room, encrypt_room, read_room
from console.services.webhooks.addresses import RefusedAddress
from iotplatform.common.ids import parse_uuid
from registry.selectors.people import list_whole_members

if TYPE_CHECKING:
    from registry.models import Tenant

MOST_TARGETS = 10
# What each kind of target is given by.
FIELD_OF = {
    TargetKind.USER: "user",
    TargetKind.MAIL: "address",
    TargetKind.CHAT: "url",
    TargetKind.WEBHOOK: "webhook",
}
Errors = list[dict[str, Any]]


def read_targets(
    tenant: Tenant,
    given: Sequence[Mapping[str, Any]],
    kept: Sequence[Mapping[str, Any]],
    errors: Errors,
) -> list[dict[str, Any]]:
    """Return targets as the table keeps them; what is wrong is added to ``errors``.

    A chat room given by the ``id`` that it has in ``kept`` keeps its address.
    """
    if not 1 <= len(given) <= MOST_TARGETS:
        errors.append({"field": "targets", "message": f"1 to {MOST_TARGETS} targets."})
        return []
    reader = _Reader(tenant, {str(each["id"]): each for each in kept}, given)
    found = []
    for number, each in enumerate(given):
        try:
            found.append(reader.read(each))
        except _Wrong as error:
            field = f"targets.{number}.{error.field}"
            errors.append({"field": field, "message": str(error)})
    return found


class _Wrong(Exception):
    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


def _same(target: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what says that two targets are the same; of chat rooms only the id."""
    if target["kind"] == TargetKind.CHAT:
        return (target.get("secret"),)
    return target["kind"], target.get("user_id"), target["name"], target.get("webhook")


class _Reader:
    """Reads targets with one query for each kind of them."""

    def __init__(
        self,
        tenant: Tenant,
        kept: Mapping[str, Mapping[str, Any]],
        given: Sequence[Mapping[str, Any]],
    ) -> None:
        self.kept = kept
        self.used: set[str] = set()
        # A target that is given again is the same one: what waits for it is sent.
        self.same = {_same(each): each for each in reversed([*kept.values()])}
        names = [each["user"] for each in given if each.get("user")]
        members = list_whole_members(tenant=tenant, usernames=names) if names else []
        self.members = {user.get_username(): user for user in members}
        texts = [each["webhook"] for each in given if each.get("webhook")]
        ids = [key for text in texts if (key := parse_uuid(text))]
        webhooks = Webhook.objects.filter(tenant=tenant, public_id__in=ids)
        self.webhooks = {row.public_id: row for row in webhooks} if ids else {}
        self.listed = set(WebhookHost.objects.values_list("host", flat=True))

    def read(self, each: Mapping[str, Any]) -> dict[str, Any]:
        kind = TargetKind(each["kind"])
        wanted = FIELD_OF[kind]
        for name in FIELD_OF.values():
            if name != wanted and each.get(name):
                raise _Wrong(name, f"A target of the kind {kind} has none.")
        earlier = self.kept.get(str(each.get("id") or ""))
        if each.get("id") and earlier is None:
            raise _Wrong("id", "There is no such target.")
        value = str(each.get(wanted) or "")
        if kind == TargetKind.CHAT and not value and earlier:
            if earlier["kind"] != kind:
                raise _Wrong("kind", "The target with this id is of another kind.")
            self.used.add(earlier["id"])
            return dict(earlier)
        if not value:
            raise _Wrong(wanted, "This field is required.")
        found = {"kind": kind.value, **getattr(self, f"_{kind.value}")(value)}
        earlier = earlier or self.same.get(_same(found))
        key = earlier["id"] if earlier else str(uuid4())
        if key in self.used:  # twice in one rule: a reminder
            key = str(uuid4())
        self.used.add(key)
        return {"id": key, **found}

    def _user(self, name: str) -> dict[str, Any]:
        user = self.members.get(name)
        if user is None:
            message = "No member of the whole tenant has this name."
            raise _Wrong("user", message)
        if not user.email:
            raise _Wrong("user", "This person has no mail address.")
        return {"name": name, "user_id": user.pk}

    def _mail(self, address: str) -> dict[str, Any]:
        try:
            validate_email(address)
        except ValidationError:
            raise _Wrong("address", "Not a mail address.") from None
        return {"name": address}

    def _chat(self, text: str) -> dict[str, Any]:
        try:
            room = read_room(text)
            check_room(room, self.listed)
        except RefusedAddress as error:
            raise _Wrong("url", str(error)) from None
        return {"name": room.service, "secret": encrypt_room(text)}

    def _webhook(self, key: str) -> dict[str, Any]:
        wanted = parse_uuid(key)
        row = self.webhooks.get(wanted) if wanted else None
        if row is None:
            raise _Wrong("webhook", "There is no such webhook.")
        return {"name": row.name, "webhook_id": row.pk, "webhook": str(row.public_id)}
