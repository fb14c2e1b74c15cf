"""Saves and deletes single rows; refusals name the field, even in a race of two."""

from __future__ import annotations

from django.db import IntegrityError, models, transaction
from django.db.models import ProtectedError, RestrictedError
from psycopg import errors as pg

from iotplatform.common.problems import BadInput
from registry.exceptions import InUse
from registry.validators import UID_TAKEN, UID_TAKEN_IN_OTHER_CASE

TAKEN = "This is already taken."
SERIAL_TAKEN = "Another device of the tenant has this serial."
ELSEWHERE = "It belongs to another tenant, or it is still in use there."
# Field and message of each constraint.
FIELD_OF_CONSTRAINT = {
    "registry_project_slug_once_per_tenant": ("slug", TAKEN),
    "registry_site_slug_once_per_tenant": ("slug", TAKEN),
    "registry_product_slug_once_per_tenant": ("slug", TAKEN),
    "registry_space_slug_once_per_tenant": ("slug", TAKEN),
    "registry_revision_slug_once_per_tenant": ("slug", TAKEN),
    "registry_batch_slug_once_per_tenant": ("slug", TAKEN),
    "registry_space_has_no_loop": ("parent", "A space cannot be inside itself."),
    "registry_batch_is_of_a_revision": (
        "hardware_revision",
        "It must be the revision of the device's batch.",
    ),
    "registry_site_project_is_its_own": ("project", ELSEWHERE),
    "registry_space_site_is_its_own": ("site", ELSEWHERE),
    "registry_space_parent_is_its_own": ("parent", ELSEWHERE),
    "registry_hardwarerevision_product_is_its_own": ("product", ELSEWHERE),
    "registry_batch_hardware_revision_is_its_own": ("hardware_revision", ELSEWHERE),
    "registry_enrolmentkey_product_is_its_own": ("product", ELSEWHERE),
    "registry_enrolmentkey_site_is_its_own": ("site", ELSEWHERE),
    "registry_enrolmentkey_batch_is_its_own": ("batch", ELSEWHERE),
    "registry_device_project_is_its_own": ("project", ELSEWHERE),
    "registry_device_site_is_its_own": ("site", ELSEWHERE),
    "registry_device_product_is_its_own": ("product", ELSEWHERE),
    "registry_device_space_is_its_own": ("space", ELSEWHERE),
    "registry_device_hardware_revision_is_its_own": ("hardware_revision", ELSEWHERE),
    "registry_device_batch_is_its_own": ("batch", ELSEWHERE),
    "registry_device_gateway_is_its_own": ("gateway", ELSEWHERE),
    "registry_firmwareproduct_product_is_its_own": ("products", ELSEWHERE),
    "registry_firmwarehardware_hardware_revision_is_its_own": (
        "hardware_revisions",
        ELSEWHERE,
    ),
    "registry_serial_once_per_tenant": ("serial", SERIAL_TAKEN),
    "registry_child_and_only_child_has_gateway": (
        "gateway",
        "A child needs a gateway, and other devices have none.",
    ),
    "registry_one_role_per_tenant": (
        "user",
        "This person is already a member of the tenant.",
    ),
    "registry_tenant_slug_key": ("slug", TAKEN),
    "registry_device_uid_key": ("uid", UID_TAKEN),
    "registry_device_uid_once_in_any_case": ("uid", UID_TAKEN_IN_OTHER_CASE),
    "registry_user_username_key": ("username", TAKEN),
    "registry_fingerprint_once": (
        "fingerprint",
        "Another credential has this certificate already.",
    ),
}


REFUSED_BY = (pg.UniqueViolation, pg.CheckViolation, pg.ForeignKeyViolation)


def save_checked(row: models.Model) -> None:
    """Validate a row's own fields and save it.

    Raises Django's ValidationError or BadInput, each naming the fields. Uniqueness is
    left to the database: a check before saving could lose a race.
    """
    row.full_clean(validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise refusal(error) from error


def refusal(error: IntegrityError) -> Exception:
    """Return the refusal for a violated constraint, or else the error itself."""
    cause = error.__cause__
    if isinstance(cause, REFUSED_BY):
        known = FIELD_OF_CONSTRAINT.get(cause.diag.constraint_name or "")
        if known is not None:
            field, message = known
            return BadInput(errors=[{"field": field, "message": message}])
    return error


@transaction.atomic
def delete_unused(row: models.Model, *used_by: models.QuerySet[models.Model]) -> None:
    """Delete a row, or raise InUse naming what refers to it.

    ``used_by`` is checked first, because Django would load every referring row.
    """
    what = row._meta.verbose_name
    for users in used_by:
        if users.exists():
            names = users.model._meta.verbose_name_plural
            raise InUse(f"The {what} '{row}' still has {names}.")
    try:
        row.delete()
    except (ProtectedError, RestrictedError) as error:
        raise InUse(f"The {what} '{row}' is still in use.") from error
