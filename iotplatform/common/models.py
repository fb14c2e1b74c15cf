"""What the models of several apps share."""

from django.db import models

from iotplatform.common.ids import new_public_id


class PublicIdModel(models.Model):
    """A row with a bigint key inside and a UUIDv7 outside."""

    public_id = models.UUIDField(default=new_public_id, unique=True, editable=False)

    class Meta:
        abstract = True
