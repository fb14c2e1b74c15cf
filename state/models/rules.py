"""Alarm rules: thresholds on a product's metrics."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from iotplatform.common.models import PublicIdModel
from registry.models import Product, Tenant
from state.choices import Comparison, Severity


class AlarmRule(PublicIdModel):
    """A threshold on a metric of a product, and the alarm that it raises."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)
    metric = models.CharField(max_length=64)
    comparison = models.CharField(max_length=2, choices=Comparison)
    threshold = models.FloatField()
    hold_seconds = models.PositiveIntegerField(default=0)
    # How far a value must be back behind the threshold to clear the alarm.
    hysteresis = models.FloatField(default=0)
    severity = models.CharField(
        max_length=8, choices=Severity, default=Severity.WARNING
    )
    code = models.CharField(
        max_length=64, validators=[RegexValidator(r"\A[A-Za-z0-9._:-]+\Z")]
    )
    enabled = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["product", "code"], name="state_one_rule_per_code"
            ),
            models.CheckConstraint(
                condition=Q(hysteresis__gte=0), name="state_rule_hysteresis"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.metric} {self.comparison} {self.threshold}"
