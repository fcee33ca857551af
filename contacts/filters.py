"""What the list of contacts is narrowed to: one shape for its address, saved views, bulk changes and exports."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Client
from contacts import queries
from contacts.models import Contact, Group
from crm.common.countries import is_country

_LARGEST_ID = 2**63 - 1
STATUSES = {"active": gettext_lazy("Can be written to"), "opted_out": gettext_lazy("Opted out")}
SORTS = {"oldest": gettext_lazy("Oldest first"), "name": gettext_lazy("By name")}
CONSENTS = {"yes": gettext_lazy("Consent recorded"), "no": gettext_lazy("No consent recorded")}


@dataclass(frozen=True, slots=True)
class ContactFilters:
    """Texts as the address of the list holds them, "" for none. Whatever means nothing counts as none.

    q: search. group, tag, import_: ids. department: exactly this. status: a key of STATUSES. country: ISO 3166.
    consent: a key of CONSENTS. sort: a key of SORTS, "" for the newest first; it narrows nothing.
    """

    q: str = ""
    group: str = ""
    tag: str = ""
    import_: str = ""
    department: str = ""
    status: str = ""
    country: str = ""
    consent: str = ""
    sort: str = ""

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """From a query string or what `as_dict` gave; other names are passed over."""
        values = {each.name: str(given.get(each.name.rstrip("_")) or "").strip()[:200] for each in fields(cls)}
        for name in ("group", "tag", "import_"):
            text = values[name]
            if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= _LARGEST_ID):
                values[name] = ""
        values["country"] = values["country"].upper()
        if not is_country(values["country"]):
            values["country"] = ""
        values["status"] *= values["status"] in STATUSES
        values["consent"] *= values["consent"] in CONSENTS
        values["sort"] *= values["sort"] in SORTS
        return cls(**values)

    def as_dict(self) -> dict[str, str]:
        """What is set, by its name in the address."""
        every = {each.name.rstrip("_"): getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in every.items() if value}

    def query(self, without: str = "") -> str:
        """The query string, less one of its filters: `?q=…&group=…`, "?" for none."""
        return "?" + urlencode({name: value for name, value in self.as_dict().items() if name != without})

    def __bool__(self) -> bool:
        return bool(self.as_dict())

    def rows(self, client: Client) -> QuerySet[Contact]:
        """The client's contacts that match, in their order."""
        return queries.contacts_for(
            client,
            search=self.q,
            group=int(self.group) if self.group else None,
            tag=int(self.tag) if self.tag else None,
            contact_import=int(self.import_) if self.import_ else None,
            department=self.department,
            opted_out={"active": False, "opted_out": True}.get(self.status),
            country=self.country,
            has_consent={"yes": True, "no": False}.get(self.consent),
            sort=self.sort,
        )

    def chips(self, client: Client) -> list[tuple[str, str]]:
        """Each filter in words with the query string of the list without it."""
        names = {
            str(pk): name
            for pk, name in Group.objects.for_client(client)
            .filter(pk__in=[int(pk) for pk in (self.group, self.tag) if pk])
            .values_list("pk", "name")
        }
        words = {
            "q": f"“{self.q}”",
            "group": _("Group: %(name)s") % {"name": names.get(self.group, "?")},
            "tag": _("Tag: %(name)s") % {"name": names.get(self.tag, "?")},
            "import": _("File: %(name)s") % {"name": self._file(client)},
            "department": self.department,
            "status": STATUSES.get(self.status, ""),
            "country": _("Country: %(code)s") % {"code": self.country},
            "consent": CONSENTS.get(self.consent, ""),
        }
        return [(str(words[name]), self.query(without=name)) for name in self.as_dict() if name in words]

    def _file(self, client: Client) -> str:
        batch = queries.imports_for(client).filter(pk=int(self.import_)).first() if self.import_ else None
        return batch.filename if batch else "?"
