"""Factories of valid rows for tests."""

from __future__ import annotations

from typing import Any

import factory
from factory.django import DjangoModelFactory

from registry.choices import Lifecycle, Role
from registry.models import (
    Batch,
    Device,
    HardwareRevision,
    Membership,
    Product,
    Project,
    Site,
    Space,
    Tenant,
    User,
)


class TenantFactory(DjangoModelFactory[Tenant]):
    class Meta:
        model = Tenant

    slug = factory.Sequence(lambda n: f"tenant-{n}")
    name = factory.LazyAttribute(lambda made: made.slug.title())


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"person-{n}@acme")

    @factory.post_generation
    def password(made: Any, create: bool, extracted: str | None, **kwargs: Any) -> None:
        made.set_password(extracted or "demo")
        if create:
            made.save()


class MembershipFactory(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    tenant = factory.SubFactory(TenantFactory)
    role = Role.OPERATOR


class ProjectFactory(DjangoModelFactory[Project]):
    class Meta:
        model = Project

    tenant = factory.SubFactory(TenantFactory)
    slug = factory.Sequence(lambda n: f"project-{n}")
    name = factory.LazyAttribute(lambda made: made.slug.title())


class SiteFactory(DjangoModelFactory[Site]):
    class Meta:
        model = Site

    tenant = factory.SubFactory(TenantFactory)
    slug = factory.Sequence(lambda n: f"site-{n}")
    name = factory.LazyAttribute(lambda made: made.slug.title())
    region = "East China"
    country = "CN"
    time_zone = "Asia/Shanghai"


class ProductFactory(DjangoModelFactory[Product]):
    class Meta:
        model = Product

    tenant = factory.SubFactory(TenantFactory)
    slug = factory.Sequence(lambda n: f"product-{n}")
    name = factory.LazyAttribute(lambda made: made.slug.title())
    metrics = factory.LazyFunction(
        lambda: [{"name": "temperature", "unit": "°C", "dead_band": 0.5}]
    )


class SpaceFactory(DjangoModelFactory[Space]):
    class Meta:
        model = Space

    tenant = factory.SubFactory(TenantFactory)
    site = factory.SubFactory(SiteFactory, tenant=factory.SelfAttribute("..tenant"))
    slug = factory.Sequence(lambda n: f"space-{n}")
    name = factory.LazyAttribute(lambda made: made.slug.title())


class HardwareRevisionFactory(DjangoModelFactory[HardwareRevision]):
    class Meta:
        model = HardwareRevision

    tenant = factory.SubFactory(TenantFactory)
    product = factory.SubFactory(
        ProductFactory, tenant=factory.SelfAttribute("..tenant")
    )
    slug = factory.Sequence(lambda n: f"rev-{n}")
    name = factory.LazyAttribute(lambda made: made.slug.title())


class BatchFactory(DjangoModelFactory[Batch]):
    class Meta:
        model = Batch

    tenant = factory.SubFactory(TenantFactory)
    hardware_revision = factory.SubFactory(
        HardwareRevisionFactory, tenant=factory.SelfAttribute("..tenant")
    )
    slug = factory.Sequence(lambda n: f"batch-{n}")
    name = factory.LazyAttribute(lambda made: made.slug.title())


class DeviceFactory(DjangoModelFactory[Device]):
    """An active device; its site and product belong to its tenant."""

    class Meta:
        model = Device

    tenant = factory.SubFactory(TenantFactory)
    uid = factory.Sequence(lambda n: f"dev-{n}")
    site = factory.SubFactory(SiteFactory, tenant=factory.SelfAttribute("..tenant"))
    product = factory.SubFactory(
        ProductFactory, tenant=factory.SelfAttribute("..tenant")
    )
    lifecycle = Lifecycle.ACTIVE
