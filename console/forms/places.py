"""The forms of projects, sites and spaces."""

from __future__ import annotations

from django import forms

from console.forms.fields import PLAIN, ObjectField
from console.forms.registry import SluggedForm
from registry.selectors.places import (
    get_project,
    get_site,
    get_space,
    list_projects,
    list_sites,
    list_spaces,
)
from registry.validators import validate_time_zone


class ProjectForm(SluggedForm):
    """A project of a tenant."""


class SiteForm(SluggedForm):
    """A place where devices stand."""

    project = ObjectField(
        get_project, listing=list_projects, label="Project", required=False
    )
    region = forms.CharField(label="Region", max_length=100, required=False)
    country = forms.RegexField(
        r"\A[A-Z]{2}\Z",
        label="Country",
        required=False,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="Two capitals, as in CN (ISO 3166-1 alpha-2).",
        error_messages={"invalid": "Enter two capital letters, such as CN."},
    )
    time_zone = forms.CharField(
        label="Time zone",
        max_length=64,
        initial="UTC",
        validators=[validate_time_zone],
        widget=forms.TextInput(attrs=PLAIN),
        help_text="A name such as Asia/Shanghai.",
    )
    latitude = forms.FloatField(
        label="Latitude", min_value=-90, max_value=90, required=False
    )
    longitude = forms.FloatField(
        label="Longitude", min_value=-180, max_value=180, required=False
    )


class SpaceForm(SluggedForm):
    """A place inside a site; it stays at its site."""

    fixed = frozenset({"site"})

    site = ObjectField(get_site, listing=list_sites, label="Site")
    parent = ObjectField(
        get_space,
        listing=list_spaces,
        label="Inside",
        required=False,
        help_text="The space of the same site that contains it.",
    )
    kind = forms.CharField(
        label="Kind",
        max_length=32,
        required=False,
        help_text="For example building, floor, room, line.",
    )
