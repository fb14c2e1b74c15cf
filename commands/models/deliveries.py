"""How well each adapter delivers, minute by minute."""

from django.db import models

from registry.choices import Adapter


class DeliveryMinute(models.Model):
    """The attempts of one adapter that were answered, or not, in one minute."""

    adapter = models.CharField(max_length=16, choices=Adapter)
    minute = models.DateTimeField()
    answered = models.PositiveIntegerField(default=0)
    unanswered = models.PositiveIntegerField(default=0)
    # {bucket: attempts}, by how long the device took to answer.
    latencies = models.JSONField(default=dict)
    # Answers that arrived until then are counted in the minutes up to this one.
    counted_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["minute", "adapter"], name="commands_delivery_minute_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.adapter} {self.minute:%F %H:%M}"
