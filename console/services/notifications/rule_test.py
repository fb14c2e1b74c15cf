"""A test of a notification rule: a message to each of its targets."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from console.models import Notification, NotificationRule, OutgoingEvent
from console.services.notifications.plan import addressed, key_of_target, known_webhooks
from console.services.webhooks.edit import TEST_TYPE
from iotplatform.common.ids import new_public_id


@transaction.atomic
def send_rule_test(rule: NotificationRule) -> list[Notification]:
    """Queue a test for each target, at once; return their rows in the log.

    A rule that is switched off is tested too.
    """
    now = timezone.now()
    events = [
        OutgoingEvent(
            public_id=new_public_id(),
            tenant_id=rule.tenant_id,
            order_key="test",
            type=TEST_TYPE,
            subject=str(rule.public_id),
            at=now,
            data={"text": "This is a test.", "rule": rule.name},
            is_spread=True,  # it is for this target alone
        )
        for _ in rule.targets
    ]
    OutgoingEvent.objects.bulk_create(events)
    hooks = known_webhooks(rule.targets)
    rows = [
        Notification(
            tenant=rule.tenant,
            type=TEST_TYPE,
            subject=event.subject,
            event=event,
            rule=rule,
            order_key=f"test:{event.pk}"
            if "webhook_id" in target
            else key_of_target(target),
            created_at=now,
            **addressed(target, hooks, at=now),
        )
        for target, event in zip(rule.targets, events, strict=True)
    ]
    return Notification.objects.bulk_create(rows)
