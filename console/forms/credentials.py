"""The form of a device's certificate."""

from __future__ import annotations

from django import forms

from registry.certificates import LONGEST_TEXT, fingerprint_of


class CertificateForm(forms.Form):
    """A certificate, of which only the fingerprint is kept."""

    certificate = forms.CharField(
        label="Certificate (PEM)",
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text="The device's own one, without its key and without a chain.",
    )

    def clean_certificate(self) -> str:
        """Return the fingerprint instead."""
        try:
            return fingerprint_of(self.cleaned_data["certificate"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
