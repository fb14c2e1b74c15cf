"""Serializers of credentials."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from iotplatform.common.serializers import StrictSerializer
from registry.certificates import LONGEST_TEXT, fingerprint_of, normal_fingerprint
from registry.models.credentials import CredentialKind
from registry.services.credentials import Issued


class NewCredentialSerializer(StrictSerializer):
    """How a device will authenticate; an empty body asks for a secret."""

    kind = serializers.ChoiceField(choices=CredentialKind.choices, required=False)
    certificate = serializers.CharField(
        max_length=LONGEST_TEXT,
        required=False,
        help_text="Only with `x509`: the device's certificate in PEM form.",
    )
    fingerprint = serializers.CharField(
        max_length=200,
        required=False,
        help_text="Only with `x509`, or give this: SHA-256 of the DER form.",
    )

    def validate_certificate(self, text: str) -> str:
        """Replace the certificate by its fingerprint."""
        try:
            return fingerprint_of(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error

    def validate_fingerprint(self, text: str) -> str:
        """Remove colons."""
        try:
            return normal_fingerprint(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require a certificate or its fingerprint for `x509`, and only there."""
        given = [name for name in ("certificate", "fingerprint") if name in attrs]
        if attrs.get("kind") != CredentialKind.X509:
            errors: dict[str, Any] = dict.fromkeys(
                given, "Allowed only with the kind x509."
            )
        elif not given:
            errors = {"certificate": "Give the certificate or its fingerprint."}
        elif len({attrs[name] for name in given}) > 1:
            errors = {"fingerprint": "This is not the fingerprint of the certificate."}
        else:
            return attrs | {"fingerprint": attrs[given[0]]}
        if errors:
            raise serializers.ValidationError(errors)
        return attrs


class CredentialSerializer(serializers.Serializer[object]):
    """A device's credential, without its secret."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    kind = serializers.CharField(read_only=True)
    fingerprint = serializers.SerializerMethodField(
        help_text="Of an `x509` credential: SHA-256 of the certificate's DER form."
    )
    created_at = serializers.DateTimeField(read_only=True)
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)

    def get_fingerprint(self, row: Any) -> str | None:
        return row.fingerprint or None


class IssuedCredentialSerializer(serializers.Serializer[Issued]):
    """A new credential. Its secret is shown only now."""

    id = serializers.UUIDField(source="credential.public_id", read_only=True)
    kind = serializers.CharField(source="credential.kind", read_only=True)
    secret = serializers.SerializerMethodField(help_text="Only for `password`.")
    fingerprint = serializers.SerializerMethodField(help_text="Only for `x509`.")
    created_at = serializers.DateTimeField(
        source="credential.created_at", read_only=True
    )
    supersedes = serializers.SerializerMethodField(
        help_text="Ids of the older credentials that are no longer valid."
    )
    older_stay_valid = serializers.BooleanField(
        read_only=True,
        help_text="Whether older credentials stay valid until they are revoked.",
    )
    note = serializers.CharField(read_only=True, help_text="The same as a sentence.")

    def get_supersedes(self, issued: Issued) -> list[str]:
        return [str(row.public_id) for row in issued.supersedes]

    def get_secret(self, issued: Issued) -> str | None:
        return issued.secret or None

    def get_fingerprint(self, issued: Issued) -> str | None:
        """Return it, or null for a secret."""
        return issued.credential.fingerprint or None
