"""REST: jobs and actions on them; fleet's endpoint creates them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commands.api.commands import NewestFirst
from commands.api.serializers.commands import ReasonSerializer
from commands.api.serializers.jobs import (
    TARGET_STATUSES,
    JobEventListSerializer,
    JobEventSerializer,
    JobSerializer,
    JobTargetSerializer,
    RetryJobSerializer,
)
from commands.api.waiting import WAIT, wait_if_asked
from commands.choices import FailureClass, JobStatus
from commands.models import Job, JobTarget
from commands.selectors.job_health import health_of
from commands.selectors.job_tallies import PENDING, SKIPPED
from commands.selectors.job_waits import describe_waits
from commands.selectors.jobs import (
    counts_of,
    get_job,
    list_job_events,
    list_jobs,
    list_targets,
)
from commands.services import jobs
from commands.services.job_approvals import approve_job
from commands.services.job_rerun import retry_failed
from commands.services.job_waiting import skip_waiting
from iotplatform.common.pagination import OpaqueCursorPagination
from registry.api.base import TenantScopedMixin
from registry.permissions import Right


class JobFilter(django_filters.FilterSet):  # type: ignore[misc]
    status = django_filters.MultipleChoiceFilter(choices=JobStatus.choices)
    name = django_filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = Job
        fields: list[str] = []


class TargetFilter(django_filters.FilterSet):  # type: ignore[misc]
    wave = django_filters.NumberFilter()
    status = django_filters.MultipleChoiceFilter(
        choices=[(name, name) for name in TARGET_STATUSES], method="filter_status"
    )
    failure_class = django_filters.MultipleChoiceFilter(
        field_name="command__failure_class", choices=FailureClass.choices
    )

    class Meta:
        model = JobTarget
        fields: list[str] = []

    def filter_status(
        self, rows: QuerySet[JobTarget], name: str, values: list[str]
    ) -> QuerySet[JobTarget]:
        """Keep the members with one of these statuses, or without a command yet."""
        if not values:
            return rows
        wanted = Q(command__status__in=values)
        if PENDING in values:
            wanted |= Q(command__isnull=True, skip_reason="")
        if SKIPPED in values:
            wanted |= Q(command__isnull=True) & ~Q(skip_reason="")
        return rows.filter(wanted)


def job_data(found: Collection[Job]) -> list[Any]:
    """Return jobs as the API shows them, in a few queries for any number."""
    counts = counts_of(found)
    waits = describe_waits(found, counts, now=timezone.now())
    context = {"counts": counts, "waits": waits, "health": health_of(found)}
    return list(JobSerializer(list(found), many=True, context=context).data)


class JobListView(TenantScopedMixin, ListAPIView[Job]):
    """The jobs of the caller's tenants; fleet adds the POST that creates one."""

    serializer_class = JobSerializer
    pagination_class = NewestFirst
    filterset_class = JobFilter
    queryset = Job.objects.none()  # names the model for the schema

    def get_queryset(self) -> Any:
        return list_jobs(tenants=self.tenants)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return one page of jobs with their counts."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(job_data(page or []))


class JobDetailView(TenantScopedMixin, APIView):
    """One job."""

    @extend_schema(parameters=[WAIT], responses=JobSerializer)
    def get(self, request: Request, job_id: str) -> Response:
        """Return the job with its counts."""
        job = get_job(tenants=self.tenants, public_id=job_id)
        if wait_if_asked(request, ("job", job.pk)):
            job = get_job(tenants=self.tenants, public_id=job_id)
        return Response(job_data([job])[0])


class JobTargetListView(TenantScopedMixin, ListAPIView[JobTarget]):
    """The members of a job."""

    serializer_class = JobTargetSerializer
    pagination_class = OpaqueCursorPagination
    filterset_class = TargetFilter
    queryset = JobTarget.objects.none()  # names the model for the schema

    def get_queryset(self) -> Any:
        """Return the members, including skipped ones."""
        job = get_job(tenants=self.tenants, public_id=self.kwargs["job_id"])
        return list_targets(job)


class JobEventListView(TenantScopedMixin, APIView):
    """The history of a job."""

    @extend_schema(responses=JobEventListSerializer)
    def get(self, request: Request, job_id: str) -> Response:
        """Return the job's events, oldest first."""
        job = get_job(tenants=self.tenants, public_id=job_id)
        rows = JobEventSerializer(list_job_events(job), many=True).data
        return Response({"next": None, "previous": None, "results": rows})


class JobActionView(TenantScopedMixin, GenericAPIView[Job]):
    """An action on a job; each URL names one."""

    serializer_class = ReasonSerializer
    act: Callable[..., Job]
    right = Right.OPERATE

    @extend_schema(request=ReasonSerializer, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        # The schema describes it by the docstring of the class.
        body = self.get_serializer(data=request.data or {})
        body.is_valid(raise_exception=True)
        job = get_job(tenants=self.tenants, public_id=job_id)
        self.require(self.right, job.tenant_id)
        self.act(job=job, actor=self.caller, reason=body.validated_data["reason"])
        fresh = get_job(tenants=self.tenants, public_id=job_id)
        return Response(job_data([fresh])[0])


class ApproveJobView(JobActionView):
    """Let another person's job start that needs an approval.

    It covers the members, the command, the policy and the rollout. At the start it is
    asked again if it is older than 7 days or if more than 5 % of the members no longer
    match the query.
    """

    act = staticmethod(approve_job)
    right = Right.APPROVE


class PauseJobView(JobActionView):
    """Send no more commands for now."""

    act = staticmethod(jobs.pause_job)


class ResumeJobView(JobActionView):
    """Continue after a pause or a stop; needs a reason."""

    act = staticmethod(jobs.resume_job)


class SkipWaitingView(JobActionView):
    """Go on without the members that have not answered yet; needs a reason."""

    act = staticmethod(skip_waiting)


class RetryJobView(TenantScopedMixin, APIView):
    """Retry the members that ended with one failure class, and nothing else.

    A stopped or paused job stays so; a stopped one needs a reason.
    """

    @extend_schema(request=RetryJobSerializer, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        body = RetryJobSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        job = get_job(tenants=self.tenants, public_id=job_id)
        self.require(Right.OPERATE, job.tenant_id)
        retry_failed(job=job, actor=self.caller, **body.validated_data)
        fresh = get_job(tenants=self.tenants, public_id=job_id)
        return Response(job_data([fresh])[0])


class CancelJobView(JobActionView):
    """Cancel a job, and its commands that were not sent yet."""

    act = staticmethod(jobs.cancel_job)
