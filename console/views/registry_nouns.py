"""The kinds of objects on the registry's pages, and the services that save each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.urls import reverse

from console.forms.catalogue import BatchForm, ProductForm, RevisionForm
from console.forms.places import ProjectForm, SiteForm, SpaceForm
from console.forms.releases import EnrolmentKeyForm, ReleaseForm
from registry.selectors.enrolment import list_enrolment_keys
from registry.selectors.firmware import list_releases
from registry.selectors.places import list_projects, list_sites, list_spaces
from registry.selectors.products import list_batches, list_products, list_revisions
from registry.services import enrolment, firmware, places, products, spaces

if TYPE_CHECKING:
    from console.forms.fields import Listing
    from console.forms.registry import RegistryForm

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Noun:
    """A kind of object: how it is read, asked for, saved and shown."""

    path: str  # in the address, as in the REST API
    one: str
    id_name: str  # the parameter of its address
    about: str  # one sentence below the headline
    rows: Listing
    form: type[RegistryForm]
    create: Callable[..., Any]  # tenant=, actor=, and the values of the form
    change: Callable[..., Any]  # the row, and the changed values
    remove: Callable[[Any], None]
    # Heading and attribute of each column; the first one links to the object.
    columns: tuple[tuple[str, str], ...]
    searched: tuple[str, ...] = ("slug", "name")
    # Such objects concern a whole tenant: members with a limit only read them.
    is_of_whole_tenant: bool = True
    is_for_managers: bool = False  # others may not even read them
    # Its service returns the object and a secret, which is shown once.
    has_secret: bool = False
    remove_word: str = "delete"
    removed: str = "deleted"
    remove_note: str = "Refused while something refers to it."

    @property
    def many(self) -> str:
        return "batches" if self.one == "batch" else f"{self.one}s"

    @property
    def title(self) -> str:
        return self.many.capitalize()

    @property
    def list_url(self) -> str:
        return reverse(f"console:registry-{self.path}")

    @property
    def new_url(self) -> str:
        return reverse(f"console:registry-{self.path}-new")

    def url_of(self, row: Any) -> str:
        return reverse(f"console:registry-{self.path}-one", args=[row.public_id])

    def remove_url_of(self, row: Any) -> str:
        name = f"console:registry-{self.path}-{self.remove_word}"
        return reverse(name, args=[row.public_id])


def unsigned(service: Callable[..., Any]) -> Callable[..., Any]:
    """Return a service that keeps no actor: the audit log knows who it was."""
    return lambda *, actor, **fields: service(**fields)


NAMED = (("Slug", "slug"), ("Name", "name"))

SITES = Noun(
    path="sites",
    one="site",
    id_name="site_id",
    about="Places where devices stand. Their time zone decides when a window of a job"
    " opens.",
    rows=list_sites,
    form=SiteForm,
    create=unsigned(places.create_site),
    change=lambda row, values: places.update_site(row, **values),
    remove=places.delete_site,
    columns=(
        *NAMED,
        ("Project", "project"),
        ("Region", "region"),
        ("Country", "country"),
        ("Time zone", "time_zone"),
    ),
    is_of_whole_tenant=False,
)
SPACES = Noun(
    path="spaces",
    one="space",
    id_name="space_id",
    about="Places inside a site: a building, a floor, a room, a line.",
    rows=list_spaces,
    form=SpaceForm,
    create=unsigned(spaces.create_space),
    change=lambda row, values: spaces.update_space(row, **values),
    remove=spaces.delete_space,
    columns=(*NAMED, ("Site", "site"), ("Path", "slug_path"), ("Kind", "kind")),
    is_of_whole_tenant=False,
)
PROJECTS = Noun(
    path="projects",
    one="project",
    id_name="project_id",
    about="Sites and devices may belong to a project; members may be limited to it.",
    rows=list_projects,
    form=ProjectForm,
    create=unsigned(places.create_project),
    change=lambda row, values: places.update_project(row, **values),
    remove=places.delete_project,
    columns=NAMED,
)
PRODUCTS = Noun(
    path="products",
    one="product",
    id_name="product_id",
    about="Model lines, and what they declare about their devices.",
    rows=list_products,
    form=ProductForm,
    create=unsigned(products.create_product),
    change=lambda row, values: products.update_product(row, **values),
    remove=products.delete_product,
    columns=(
        *NAMED,
        ("Kind", "kind"),
        ("Heartbeat, seconds", "heartbeat_seconds"),
        ("Takes commands", "takes_commands"),
    ),
)
REVISIONS = Noun(
    path="hardware-revisions",
    one="hardware revision",
    id_name="revision_id",
    about="Versions of a product's hardware.",
    rows=list_revisions,
    form=RevisionForm,
    create=unsigned(products.create_revision),
    change=lambda row, values: products.update_revision(row, **values),
    remove=products.delete_revision,
    columns=(*NAMED, ("Product", "product")),
)
BATCHES = Noun(
    path="batches",
    one="batch",
    id_name="batch_id",
    about="Devices of a hardware revision that were made together.",
    rows=list_batches,
    form=BatchForm,
    create=unsigned(products.create_batch),
    change=lambda row, values: products.update_batch(row, **values),
    remove=products.delete_batch,
    columns=(*NAMED, ("Hardware revision", "hardware_revision"), ("Made", "made_at")),
)
RELEASES = Noun(
    path="firmware-releases",
    one="firmware release",
    id_name="release_id",
    about="Files that devices download when they are told to update to a version.",
    rows=list_releases,
    form=ReleaseForm,
    create=firmware.create_release,
    change=lambda row, values: firmware.update_release(row, changes=values),
    remove=firmware.delete_release,
    columns=(
        ("Version", "version"),
        ("Products", "products"),
        ("Hardware revisions", "hardware_revisions"),
        ("Bytes", "size"),
        ("SHA-256", "sha256"),
        ("Uploaded", "created_at"),
    ),
    searched=("version",),
    remove_note="Its file goes, too. Devices keep what they run.",
)
KEYS = Noun(
    path="enrolment-keys",
    one="enrolment key",
    id_name="key_id",
    about="With a key, devices of a product register themselves: up to a number, until"
    " a date.",
    rows=list_enrolment_keys,
    form=EnrolmentKeyForm,
    create=enrolment.create_enrolment_key,
    change=lambda row, values: enrolment.update_enrolment_key(row, changes=values),
    remove=enrolment.revoke_enrolment_key,
    columns=(
        ("Name", "name"),
        ("Starts with", "prefix"),
        ("Product", "product"),
        ("Site", "site"),
        ("Enrolled", "used_count"),
        ("At most", "max_devices"),
        ("Valid until", "expires_at"),
        ("Revoked", "revoked_at"),
    ),
    searched=("name", "prefix"),
    is_of_whole_tenant=False,
    is_for_managers=True,
    has_secret=True,
    remove_word="revoke",
    removed="revoked",
    remove_note="Devices that it enrolled stay.",
)

NOUNS = (SITES, SPACES, PROJECTS, PRODUCTS, REVISIONS, BATCHES, RELEASES, KEYS)
