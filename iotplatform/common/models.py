"""Base models that several apps share."""

from django.db import models

from iotplatform.common.ids import new_public_id


class PublicIdModel(models.Model):
    """A row with an internal bigint key and a public UUIDv7."""

    public_id = models.UUIDField(default=new_public_id, unique=True, editable=False)

    class Meta:
        abstract = True
