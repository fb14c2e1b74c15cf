"""REST: what keeps the harm of a bad job small."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.jobs import JobActionView, job_data
from commands.api.serializers.commands import ReasonSerializer
from commands.api.serializers.jobs import JobSerializer
from commands.models import Job
from commands.selectors.jobs import get_job
from commands.services.job_lift import lift_hold
from commands.services.job_rollback import roll_back_job
from registry.api.base import TenantScopedMixin
from registry.permissions import Right


class RollBackJobView(TenantScopedMixin, GenericAPIView[Job]):
    """Give each member its own previous values, as a new job."""

    serializer_class = ReasonSerializer

    @extend_schema(request=ReasonSerializer, responses={201: JobSerializer})
    def post(self, request: Request, job_id: str) -> Response:
        """Roll the job back; the answer is the job that restores its members."""
        body = self.get_serializer(data=request.data or {})
        body.is_valid(raise_exception=True)
        job = get_job(tenants=self.tenants, public_id=job_id)
        self.require(Right.OPERATE, job.tenant_id)
        made = roll_back_job(
            job=job, actor=self.caller, reason=body.validated_data["reason"]
        )
        fresh = get_job(tenants=self.tenants, public_id=made.public_id)
        return Response(job_data([fresh])[0], status=201)


class LiftHoldView(JobActionView):
    """Let other jobs send again what a stopped job of another person has marked."""

    act = staticmethod(lift_hold)
