"""REST API: new jobs. They are created here, because commands resolve no cohorts."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.commands import IDEMPOTENCY_KEY
from commands.api.jobs import JobActionView, job_data
from commands.api.jobs import JobListView as ReadOnlyJobListView
from commands.api.serializers.jobs import JobSerializer
from fleet.api.serializers import (
    JobPreviewSerializer,
    JobRequestSerializer,
)
from fleet.services.job_starts import start_job
from fleet.services.jobs import JobRequest, launch_job, preview_job
from fleet.services.targets import SOURCES
from registry.permissions import Right


class JobListView(ReadOnlyJobListView):
    """List the jobs of the caller's tenants, newest first."""

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        request=JobRequestSerializer,
        responses={
            200: OpenApiResponse(
                JobPreviewSerializer, description="A preview, or an earlier job."
            ),
            201: JobSerializer,
        },
    )
    def post(self, request: Request) -> Response:
        """Create a job for a frozen set of devices, or preview it (`dry_run`)."""
        body = JobRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        tenant = self.resolve_tenant()
        self.require(Right.OPERATE, tenant.pk)
        data = body.validated_data
        wanted = JobRequest(
            tenant=tenant,
            name=data["name"],
            source={name: data[name] for name in SOURCES if name in data},
            command=data["command"],
            rollout=data["rollout"],
            expected_hash=data.get("expected_hash"),
        )
        if data["dry_run"]:
            return Response(JobPreviewSerializer(preview_job(wanted)).data)
        job, created = launch_job(
            wanted,
            actor=self.caller,
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        return Response(job_data([job])[0], status=201 if created else 200)


class StartJobView(JobActionView):
    """Start a draft, or a scheduled job before its time.

    An approved job of which more than 5 % of the members no longer match its query is
    `awaiting_approval` again instead.
    """

    act = staticmethod(start_job)
