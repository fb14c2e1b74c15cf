"""REST: credentials of devices."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.devices import DeviceView
from registry.api.serializers.credentials import (
    CredentialSerializer,
    IssuedCredentialSerializer,
    NewCredentialSerializer,
)
from registry.models import Credential
from registry.models.credentials import CredentialKind
from registry.permissions import Right
from registry.selectors.credentials import get_credential, list_credentials
from registry.services.credentials import (
    issue_credential,
    register_certificate,
    withdraw_credential,
)


class CredentialListView(DeviceView):
    """The credentials of one device."""

    serializer_class = CredentialSerializer
    queryset = Credential.objects.none()  # names the model to the schema

    @extend_schema(
        operation_id="device_credentials_list",
        responses=CredentialSerializer(many=True),
    )
    def get(self, request: Request, uid: str) -> Response:
        """List a device's credentials, newest first, without secrets."""
        device = self.device(uid)
        self.require(Right.MANAGE, device.tenant_id)
        page = self.paginate_queryset(list_credentials(device))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        request=NewCredentialSerializer, responses={201: IssuedCredentialSerializer}
    )
    def post(self, request: Request, uid: str) -> Response:
        """Issue a secret, shown only now; the device may connect with it at once.

        With `{"kind": "x509", "certificate": "<PEM>"}` the device authenticates with
        its certificate instead, and there is no secret.
        """
        device = self.device(uid)
        self.require(Right.MANAGE, device.tenant_id)
        given = NewCredentialSerializer(data=request.data or {})
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        if wanted.get("kind") == CredentialKind.X509:
            issued = register_certificate(device, fingerprint=wanted["fingerprint"])
        else:
            issued = issue_credential(device)
        return Response(IssuedCredentialSerializer(issued).data, status=201)


class CredentialView(DeviceView):
    """One credential."""

    serializer_class = CredentialSerializer

    @extend_schema(responses={204: None})
    def delete(self, request: Request, uid: str, credential_id: UUID) -> Response:
        """Revoke a credential; the broker refuses it from this answer on."""
        device = self.device(uid)
        self.require(Right.MANAGE, device.tenant_id)
        withdraw_credential(get_credential(device, credential_id))
        return Response(status=204)
