"""The form of an alarm rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.validators import RegexValidator
from django.forms import BoundField

from state.choices import MAX_HOLD_SECONDS, Comparison, Severity
from state.selectors.rule_trial import Trial

if TYPE_CHECKING:
    from registry.models import Product

CODE = RegexValidator(
    r"\A[A-Za-z0-9._:-]+\Z", "Use only letters, digits and . _ : - (no spaces)."
)


class RuleForm(forms.Form):
    """A threshold for a metric of a product."""

    name = forms.CharField(label="Name", max_length=200)
    product = forms.ChoiceField(label="Product")
    metric = forms.CharField(
        label="Metric",
        max_length=64,
        widget=forms.TextInput(attrs={"list": "metrics", "spellcheck": "false"}),
        help_text="The name that the devices use.",
    )
    comparison = forms.ChoiceField(
        label="Alarm if the value is",
        choices=Comparison.choices,
        initial=Comparison.ABOVE,
    )
    threshold = forms.FloatField(label="Threshold")
    hysteresis = forms.FloatField(
        label="Margin before it clears",
        min_value=0,
        initial=0,
        help_text="0: clears at the threshold.",
    )
    hold_seconds = forms.IntegerField(
        label="Must last, seconds",
        min_value=0,
        max_value=MAX_HOLD_SECONDS,
        initial=0,
        help_text="0: one value is enough.",
    )
    severity = forms.ChoiceField(
        label="Severity", choices=Severity.choices, initial=Severity.WARNING
    )
    code = forms.CharField(
        label="Alarm code",
        max_length=64,
        validators=[CODE],
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
        help_text="Unique per product. A device has one open alarm per code.",
    )

    def __init__(
        self, *args: Any, products: Sequence[Product], is_fixed: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.products = {f"{row.tenant.slug}/{row.slug}": row for row in products}
        several = len({row.tenant_id for row in products}) > 1
        field = self.fields["product"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            (key, key if several else row.slug) for key, row in self.products.items()
        ]
        if is_fixed:  # a rule keeps its product
            del self.fields["product"]

    def trial(self) -> Trial:
        """Return the condition of the rule; call this on a valid form."""
        values = self.cleaned_data
        return Trial(
            metric=values["metric"],
            comparison=values["comparison"],
            threshold=values["threshold"],
            hold_seconds=values["hold_seconds"],
            hysteresis=values["hysteresis"],
        )

    def chosen(self) -> Product:
        """Return the product of a new rule; call this on a valid form."""
        return self.products[self.cleaned_data["product"]]

    def fields_to_save(self) -> dict[str, Any]:
        """Return the fields for the services; call this on a valid form."""
        return {k: v for k, v in self.cleaned_data.items() if k != "product"}

    @property
    def metrics(self) -> list[str]:
        """The metrics that the products declare, as suggestions while typing."""
        declared = [row.metrics for row in self.products.values()]
        return sorted({metric["name"] for rows in declared for metric in rows})

    @property
    def condition_fields(self) -> list[BoundField]:
        names = ("product", "metric", "comparison", "threshold", "hysteresis")
        return [self[name] for name in (*names, "hold_seconds") if name in self.fields]

    @property
    def alarm_fields(self) -> list[BoundField]:
        return [self[name] for name in ("name", "code", "severity")]
