"""Files that devices upload, kept in the database: every process can reach them."""

from django.db import models

from commands.models.commands import Command
from iotplatform.common.models import PublicIdModel
from registry.models import Device, Tenant


class DeviceFile(PublicIdModel):
    """The file of a command, as far as its device has uploaded it."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(
        Device, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    command = models.OneToOneField(Command, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=128)
    size = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["device", "-id"], name="commands_files_of_device"),
            models.Index(fields=["created_at"], name="commands_files_by_age"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_complete(self) -> bool:
        return self.completed_at is not None


class DeviceFilePart(models.Model):
    """Consecutive bytes of a file."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    file = models.ForeignKey(
        DeviceFile, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    start = models.BigIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["file", "start"], name="commands_file_part_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.file_id} from {self.start}"
