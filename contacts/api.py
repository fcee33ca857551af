"""Native API of contacts, groups and imports (contracts/dialects/native.md, "Contacts")."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Client
from contacts import queries, services
from contacts.errors import ContactExists, GroupExists, UnreadableFile
from contacts.models import Contact, Duplicates, Group
from contacts.serializers import (
    MOST_ERRORS,
    ContactChange,
    ContactRequest,
    ContactShape,
    DeletedShape,
    GroupRequest,
    GroupShape,
    ImportRequest,
    ImportShape,
    MembersRequest,
    MembersShape,
    SavedContactShape,
    show_contact,
    show_group,
    show_import,
)
from crm.common.api import params
from crm.common.api.describe import PAGES, Param, describe
from crm.common.api.envelope import listing, success
from crm.common.api.pages import rows_of_page
from crm.common.api.parsers import BodyTooLarge
from crm.common.api.views import ApiView
from crm.common.errors import InvalidInput, NotFound

IMPORTED_AT_ONCE = 1_000  # rows; a larger file is left to a worker
_LARGEST_ID = 2**63 - 1
_SETS = ("groups", "tags")
_UPLOAD_OVERHEAD = 1 << 20  # what a form adds to its file
_STATUSES = {"all": None, "active": False, "opted_out": True}
_NO_CONTACT = {404: "There is no such contact."}
_NO_GROUP = {404: "There is no such group."}
_TAKEN = {409: "Another contact has this number; `contact_id` says which."}


class ContactsView(ApiView):
    """The client's book."""

    required_scope = "contacts"

    @describe(
        "List contacts",
        "Newest first.",
        answers=ContactShape,
        paged=True,
        query=(
            *PAGES,
            Param("search", "Part of a name, number, email address or department."),
            Param("group", "Id of a group.", "integer"),
            Param("tag", "Name of a tag."),
            Param("department", "Exactly this department."),
            Param("status", "Whether they opted out of your SMS.", choices=tuple(_STATUSES), default="all"),
        ),
    )
    def get(self, request: Request, client_id: int) -> Response:
        client, asked = request.auth.client, request.query_params
        page = params.read_page(asked)
        group = params.read_count(asked, "group", default=0)
        found = queries.contacts_for(
            client,
            search=params.read_word(asked, "search"),
            group=min(group, _LARGEST_ID) or None,
            tag=_tag_id(client, params.read_word(asked, "tag")),
            department=params.read_word(asked, "department"),
            opted_out=_STATUSES[params.read_choice(asked, "status", _STATUSES, default="all")],
        )
        total = found.count()
        rows = rows_of_page(found, page, total)
        queries.decorate(client, rows)
        return Response(listing([show_contact(row) for row in rows], page.meta(total)))

    @describe(
        "Add a contact",
        "Only the phone number is required.",
        takes=ContactRequest,
        answers=SavedContactShape,
        query=(Param("upsert", "Change the contact that has this number instead of refusing.", "boolean"),),
        refuses=_TAKEN,
        example={"name": "John Doe", "phone": "254712345678", "email": "john@example.com", "department": "Sales"},
        message="Contact saved",
    )
    def post(self, request: Request, client_id: int) -> Response:
        asked = self.read(ContactRequest)
        upsert = params.read_choice(request.query_params, "upsert", {"true": 1, "false": 1}, default="false") == "true"
        client = request.auth.client
        with transaction.atomic():
            contact, created = _save(client, _without_nulls(asked), upsert=upsert)
            _join(client, contact, asked)
        return Response(success(_shown(client, contact) | {"created": created}, message="Contact saved"))


class ContactView(ApiView):
    """One contact."""

    required_scope = "contacts"

    @describe("Read a contact", answers=ContactShape, refuses=_NO_CONTACT)
    def get(self, request: Request, client_id: int, contact_id: int) -> Response:
        client = request.auth.client
        return Response(success(_shown(client, _contact(client, contact_id))))

    @describe(
        "Replace a contact",
        "What is left out becomes empty; the groups stay.",
        takes=ContactRequest,
        answers=ContactShape,
        refuses=_NO_CONTACT | _TAKEN,
        example={"name": "John Doe", "phone": "254712345678", "department": "Support"},
        message="Contact saved",
    )
    def put(self, request: Request, client_id: int, contact_id: int) -> Response:
        contact = _contact(request.auth.client, contact_id)
        asked = self.read(ContactRequest)
        blank: dict[str, Any] = {"name": "", "email": "", "department": "", "attributes": {}}
        return self._change(contact, blank | _without_nulls(asked), asked)

    @describe(
        "Change a contact",
        "Only what is given changes; `attributes` are replaced as a whole.",
        takes=ContactChange,
        answers=ContactShape,
        refuses=_NO_CONTACT | _TAKEN,
        example={"department": "Support"},
        message="Contact saved",
    )
    def patch(self, request: Request, client_id: int, contact_id: int) -> Response:
        contact = _contact(request.auth.client, contact_id)
        asked = self.read(ContactChange)
        return self._change(contact, {name: value for name, value in asked.items() if name not in _SETS}, asked)

    def _change(self, contact: Contact, changes: dict[str, Any], asked: dict[str, Any]) -> Response:
        client = self.request.auth.client
        with transaction.atomic():
            services.update_contact(contact=contact, **changes)
            _join(client, contact, asked)
        return Response(success(_shown(client, contact), message="Contact saved"))

    @describe(
        "Delete a contact",
        "It can be restored in the dashboard for 30 days. Its messages stay in your history, and an opt-out of its "
        "number stays in force.",
        answers=DeletedShape,
        refuses=_NO_CONTACT,
        message="Contact deleted",
    )
    def delete(self, request: Request, client_id: int, contact_id: int) -> Response:
        contact = _contact(request.auth.client, contact_id)
        services.delete_contacts(client=request.auth.client, contact_ids=[contact.pk])
        return Response(success({"id": contact_id}, message="Contact deleted"))


class GroupsView(ApiView):
    """The client's groups."""

    required_scope = "contacts"

    @describe("List groups", "By name.", answers=GroupShape, paged=True, query=PAGES)
    def get(self, request: Request, client_id: int) -> Response:
        page = params.read_page(request.query_params)
        found = queries.groups_with_counts(request.auth.client)
        rows = list(found[page.start : page.stop])
        return Response(listing([show_group(row) for row in rows], page.meta(found.count())))

    @describe(
        "Make a group",
        takes=GroupRequest,
        answers=GroupShape,
        refuses={409: "There is a group of this name; `group_id` says which."},
        example={"name": "Sales"},
        message="Group saved",
    )
    def post(self, request: Request, client_id: int) -> Response:
        client = request.auth.client
        group = services.create_group(client=client, name=self.read(GroupRequest)["name"])
        return Response(success(show_group(_group(client, group.pk)), message="Group saved"))


class GroupView(ApiView):
    """One group."""

    required_scope = "contacts"

    @describe("Read a group", answers=GroupShape, refuses=_NO_GROUP)
    def get(self, request: Request, client_id: int, group_id: int) -> Response:
        return Response(success(show_group(_group(request.auth.client, group_id))))

    @describe(
        "Rename a group",
        takes=GroupRequest,
        answers=GroupShape,
        refuses=_NO_GROUP | {409: "There is a group of this name; `group_id` says which."},
        example={"name": "Customers"},
        message="Group saved",
    )
    def patch(self, request: Request, client_id: int, group_id: int) -> Response:
        client = request.auth.client
        group = _group(client, group_id)
        services.rename_group(group=group, name=self.read(GroupRequest)["name"])
        return Response(success(show_group(group), message="Group saved"))

    @describe("Delete a group", "Its contacts stay.", answers=DeletedShape, refuses=_NO_GROUP, message="Group deleted")
    def delete(self, request: Request, client_id: int, group_id: int) -> Response:
        services.delete_group(group=_group(request.auth.client, group_id))
        return Response(success({"id": group_id}, message="Group deleted"))


class GroupMembersView(ApiView):
    """Who is in a group. Contacts that are not the client's are passed over."""

    required_scope = "contacts"

    @describe(
        "Put contacts into a group",
        "Ids that are not yours are passed over.",
        takes=MembersRequest,
        answers=MembersShape,
        refuses=_NO_GROUP,
        example={"contacts": [1, 2]},
    )
    def post(self, request: Request, client_id: int, group_id: int) -> Response:
        return self._change(services.add_to_group, group_id)

    @describe(
        "Take contacts out of a group",
        takes=MembersRequest,
        answers=MembersShape,
        refuses=_NO_GROUP,
        example={"contacts": [2]},
    )
    def delete(self, request: Request, client_id: int, group_id: int) -> Response:
        return self._change(services.remove_from_group, group_id)

    def _change(self, act: Any, group_id: int) -> Response:
        client = self.request.auth.client
        group = _group(client, group_id)
        changed = act(group=group, contact_ids=self.read(MembersRequest)["contacts"])
        size = _group(client, group_id).size  # type: ignore[attr-defined]
        return Response(success({"id": group_id, "changed": changed, "contacts": size}))


class UploadParser(MultiPartParser):
    """A form with a file, refused by its size before it is read. Raises: BodyTooLarge."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        length = (parser_context or {})["request"].META.get("CONTENT_LENGTH") or "0"
        if length.isdigit() and int(length) > settings.MAX_IMPORT_BYTES + _UPLOAD_OVERHEAD:
            raise BodyTooLarge(f"The file may have at most {settings.MAX_IMPORT_BYTES >> 20} MB.")
        return super().parse(stream, media_type, parser_context)


class ImportView(ApiView):
    """A file of contacts: finished in the answer where it is small, else taken over by a worker."""

    required_scope = "contacts"
    parser_classes: ClassVar[list] = [UploadParser]

    @describe(
        "Import contacts from a file",
        "CSV or XLSX with the columns Name, Phone, Email and Department in any order and letter case; further columns "
        "are kept as attributes. Comma, semicolon or tab; UTF-8, or what Excel writes. A file of up to 1,000 rows is "
        "imported before the answer; a larger one is answered with `status: processing`, to be asked for by its "
        "`import_id`.",
        takes=ImportRequest,
        answers=ImportShape,
        flat=True,
        upload=True,
        refuses={413: "More than 50 MB, or more than 1,000,000 rows."},
    )
    def post(self, request: Request, client_id: int) -> Response:
        asked = self.read(ImportRequest)
        client = request.auth.client
        try:
            batch = services.start_import(client=client, by=None, upload=asked["file"])
        except UnreadableFile as refusal:
            if refusal.facts["reason"] in ("too_large", "too_many_rows"):
                raise BodyTooLarge(str(refusal)) from None
            raise
        try:
            small = batch.rows_total <= IMPORTED_AT_ONCE
            with transaction.atomic():
                group = _import_group(client, asked.get("group") or "")
                policy = Duplicates.OVERWRITE if asked["duplicates"] == "update" else Duplicates.SKIP
                services.configure_import(contact_import=batch, duplicates=policy, group=group)
                services.begin_import(contact_import=batch, background=not small)
        except Exception:
            services.discard_import(contact_import=batch)
            batch.path.unlink(missing_ok=True)  # also where an Idempotency-Key's transaction is about to be undone
            raise
        if small:
            services.run_import(import_id=batch.pk)
        return _import_answer(client, batch.pk)


class ImportResultView(ApiView):
    """How far an import has come."""

    required_scope = "contacts"

    @describe(
        "Read an import",
        "`status` is `processing` until it is over.",
        answers=ImportShape,
        flat=True,
        refuses={404: "There is no such import."},
    )
    def get(self, request: Request, client_id: int, import_id: int) -> Response:
        return _import_answer(request.auth.client, import_id)


def _import_answer(client: Client, import_id: int) -> Response:
    batch = queries.imports_for(client).filter(pk=import_id).first()
    if batch is None:
        raise NotFound("There is no such import.")
    data = show_import(batch, queries.rejects_of(batch, limit=MOST_ERRORS))
    return Response(success(data, status=data["status"]))


def _import_group(client: Client, wanted: str) -> Group | None:
    """The group by id or name; a new name makes one. Raises: InvalidInput (`group`)."""
    wanted = wanted.strip()
    if not wanted:
        return None
    groups = queries.groups_for(client)
    if wanted.isascii() and wanted.isdigit():
        group = groups.filter(pk=min(int(wanted), _LARGEST_ID)).first() or groups.filter(name=wanted).first()
        if group is None:
            raise InvalidInput({"group": ["There is no such group."]})
        return group
    try:
        return services.create_group(client=client, name=wanted)
    except GroupExists as known:
        return groups.get(pk=known.facts["group_id"])
    except InvalidInput as refusal:
        raise InvalidInput({"group": refusal.errors.get("name", [str(refusal)])}) from None


def _contact(client: Client, contact_id: int) -> Contact:
    found = queries.contacts_for(client).filter(pk=contact_id).first()
    if found is None:
        raise NotFound("There is no such contact.")
    return found


def _tag_id(client: Client, name: str) -> int | None:
    """The tag by its name; a name of no tag finds nobody."""
    if not name:
        return None
    return queries.tags_for(client).filter(name__iexact=name).values_list("pk", flat=True).first() or 0


def _group(client: Client, group_id: int) -> Group:
    found = queries.groups_with_counts(client).filter(pk=group_id).first()
    if found is None:
        raise NotFound("There is no such group.")
    return found


def _shown(client: Client, contact: Contact) -> dict[str, Any]:
    queries.decorate(client, [contact])
    return show_contact(contact)


def _without_nulls(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None and name not in _SETS}


def _save(client: Client, values: dict[str, Any], *, upsert: bool) -> tuple[Contact, bool]:
    """(contact, whether it is new). With upsert the one that has the number takes the values given."""
    try:
        return services.create_contact(client=client, **values), True
    except ContactExists as known:
        if not upsert:
            raise
        contact = _contact(client, known.facts["contact_id"])
        if "attributes" in values:
            values["attributes"] = contact.attributes | values["attributes"]
        return services.update_contact(contact=contact, **values), False


def _join(client: Client, contact: Contact, asked: dict[str, Any]) -> None:
    group_ids = asked.get("groups") or []
    groups = list(queries.groups_for(client).filter(pk__in=group_ids)) if group_ids else []
    if len(groups) != len(set(group_ids)):
        raise InvalidInput({"groups": ["One of these groups does not exist."]})
    try:
        groups += services.ensure_tags(client=client, names=asked.get("tags") or [])
    except InvalidInput as refusal:
        raise InvalidInput({"tags": refusal.errors.get("name", [str(refusal)])}) from None
    for group in groups:
        services.add_to_group(group=group, contact_ids=[contact.pk])
