"""What people type on the page of an alarm rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.validators import RegexValidator
from django.forms import BoundField

from state.choices import Comparison, Severity
from state.selectors.rule_trial import Trial

if TYPE_CHECKING:
    from registry.models import Product

CODE = RegexValidator(
    r"\A[A-Za-z0-9._:-]+\Z", "Letters, digits and . _ : - only, without spaces."
)


class RuleForm(forms.Form):
    """A threshold on a metric of a product."""

    name = forms.CharField(label="Name", max_length=200)
    product = forms.ChoiceField(label="Product")
    metric = forms.CharField(
        label="Metric",
        max_length=64,
        widget=forms.TextInput(attrs={"list": "metrics", "spellcheck": "false"}),
        help_text="As the devices call it.",
    )
    comparison = forms.ChoiceField(
        label="Is an alarm when", choices=Comparison.choices, initial=Comparison.ABOVE
    )
    threshold = forms.FloatField(label="This value")
    hysteresis = forms.FloatField(
        label="Clears when back by",
        min_value=0,
        initial=0,
        help_text="0: at the threshold itself.",
    )
    hold_seconds = forms.IntegerField(
        label="Must last, s",
        min_value=0,
        max_value=604_800,
        initial=0,
        help_text="0: the first value is enough.",
    )
    severity = forms.ChoiceField(
        label="Severity", choices=Severity.choices, initial=Severity.WARNING
    )
    code = forms.CharField(
        label="Code of the alarm",
        max_length=64,
        validators=[CODE],
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
        help_text="Once per product; a device has one open alarm of a code.",
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
        """Return what decides when there is an alarm; call once it is valid."""
        said = self.cleaned_data
        return Trial(
            metric=said["metric"],
            comparison=said["comparison"],
            threshold=said["threshold"],
            hold_seconds=said["hold_seconds"],
            hysteresis=said["hysteresis"],
        )

    def chosen(self) -> Product:
        """Return the product of a new rule."""
        return self.products[self.cleaned_data["product"]]

    def fields_to_save(self) -> dict[str, Any]:
        """Return what the services take; call once it is valid."""
        return {k: v for k, v in self.cleaned_data.items() if k != "product"}

    @property
    def metrics(self) -> list[str]:
        """The names that the products declare, offered while one types."""
        declared = [row.metrics for row in self.products.values()]
        return sorted({metric["name"] for rows in declared for metric in rows})

    @property
    def condition_fields(self) -> list[BoundField]:
        """What decides when there is an alarm."""
        names = ("product", "metric", "comparison", "threshold", "hysteresis")
        return [self[name] for name in (*names, "hold_seconds") if name in self.fields]

    @property
    def alarm_fields(self) -> list[BoundField]:
        """What the alarm is then."""
        return [self[name] for name in ("name", "code", "severity")]
