"""Groups by rule: conditions on contacts, kept as JSON and answered by the database in one statement.

A rule is {"match": "all" or "any", "conditions": [{"field", "op", "value"}, …]}. Fields: those of CONDITIONS, and
"own:KEY" for a field of the client's own. `value` is a text, a number of days, an ISO date or an id, as VALUES says.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import reduce
from operator import and_, or_
from typing import Any
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import Case, Exists, F, Func, Lookup, OuterRef, Q, QuerySet, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.db.models.lookups import (
    Exact,
    GreaterThanOrEqual,
    IContains,
    IExact,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
    Regex,
)
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from phonenumbers import country_code_for_region

from accounts.models import Client
from contacts.importing.values import BadValueError, read_value
from contacts.models import (
    Channel,
    ConsentSource,
    Contact,
    ContactField,
    FieldKind,
    Group,
    GroupKind,
    GroupMember,
    ImportMeeting,
    OptOut,
)
from contacts.signals import all_messages
from crm.common.countries import is_country
from crm.common.errors import InvalidInput
from crm.common.networks import known_networks, network_prefixes
from crm.common.sql import on_postgres

MOST_CONDITIONS = 20
MOST_DAYS = 3650
OWN = "own:"

_TEXT = {
    "is": gettext_lazy("is"),
    "is_not": gettext_lazy("is not"),
    "contains": gettext_lazy("contains"),
    "filled": gettext_lazy("is filled in"),
    "empty": gettext_lazy("is empty"),
}
_NUMBER = {
    "is": gettext_lazy("is"),
    "at_least": gettext_lazy("is at least"),
    "at_most": gettext_lazy("is at most"),
    "filled": gettext_lazy("is filled in"),
    "empty": gettext_lazy("is empty"),
}
_DATE = {
    "is": gettext_lazy("is on"),
    "before": gettext_lazy("is before"),
    "since": gettext_lazy("is on or after"),
    "last_days": gettext_lazy("is in the last days:"),
    "next_days": gettext_lazy("is in the next days:"),
    "filled": gettext_lazy("is filled in"),
    "empty": gettext_lazy("is empty"),
}
# field → (what it is called, op → its words). The order is that of the page.
CONDITIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "tag": (gettext_lazy("Tag"), {"in": gettext_lazy("has the tag"), "not_in": gettext_lazy("has not the tag")}),
    "group": (
        gettext_lazy("Group"),
        {"in": gettext_lazy("is in the group"), "not_in": gettext_lazy("is not in the group")},
    ),
    "name": (gettext_lazy("Name"), _TEXT),
    "email": (gettext_lazy("Email"), _TEXT),
    "department": (gettext_lazy("Department"), _TEXT),
    "country": (gettext_lazy("Country of the number"), {"is": gettext_lazy("is"), "is_not": gettext_lazy("is not")}),
    "network": (gettext_lazy("Likely network"), {"is": gettext_lazy("is"), "is_not": gettext_lazy("is not")}),
    "messaged": (
        gettext_lazy("Last message"),
        {
            "last_days": gettext_lazy("was in the last days:"),
            "not_last_days": gettext_lazy("was not in the last days:"),
            "never": gettext_lazy("there was none yet"),
        },
    ),
    "added": (
        gettext_lazy("Added to the book"),
        {
            "last_days": gettext_lazy("in the last days:"),
            "before": gettext_lazy("before"),
            "since": gettext_lazy("on or after"),
        },
    ),
    "import": (gettext_lazy("File"), {"in": gettext_lazy("was in the import number")}),
    "consent": (
        gettext_lazy("Consent"),
        {
            "filled": gettext_lazy("is recorded"),
            "empty": gettext_lazy("is not recorded"),
            "is": gettext_lazy("was given so:"),
        },
    ),
    "opted_out": (
        gettext_lazy("Opted out of SMS"),
        {"filled": gettext_lazy("from every sender"), "empty": gettext_lazy("not, or from one sender only")},
    ),
}
_OWN_OPS = {FieldKind.TEXT: _TEXT, FieldKind.CHOICE: _TEXT, FieldKind.NUMBER: _NUMBER, FieldKind.DATE: _DATE}
_WITHOUT_VALUE = ("filled", "empty", "never")


def conditions_for(client: Client) -> dict[str, tuple[Any, dict[str, Any]]]:
    """CONDITIONS and the client's own fields."""
    own = {OWN + f.key: (f.key, _OWN_OPS[FieldKind(f.kind)]) for f in ContactField.objects.for_client(client)}
    return CONDITIONS | own


def read_rule(client: Client, match: str, conditions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A rule as it is kept. Groups and tags may be given by name or id; they must be the client's and no rules.

    Raises: InvalidInput (`rule`), with the number of the condition.
    """
    known = conditions_for(client)
    kinds = {OWN + f.key: FieldKind(f.kind) for f in ContactField.objects.for_client(client)}
    kept, errors = [], []
    for number, asked in enumerate(conditions, start=1):
        field, op, value = (str(asked.get(name) or "").strip() for name in ("field", "op", "value"))
        if field not in known or op not in known[field][1]:
            errors.append(_("Condition %(n)s: choose what is asked.") % {"n": number})
            continue
        try:
            kept.append({"field": field, "op": op, "value": _read(client, field, op, value, kinds.get(field))})
        except BadValueError as error:
            errors.append(_("Condition %(n)s: %(why)s") % {"n": number, "why": error})
    if not kept and not errors:
        errors.append(_("Give at least one condition."))
    if len(kept) > MOST_CONDITIONS:
        errors.append(_("At most %(n)s conditions.") % {"n": MOST_CONDITIONS})
    if errors:
        raise InvalidInput({"rule": errors})
    return {"match": "any" if match == "any" else "all", "conditions": kept}


def _read(client: Client, field: str, op: str, value: str, kind: FieldKind | None) -> Any:
    """The value of one condition as it is kept. Raises: BadValueError."""
    if op in _WITHOUT_VALUE:
        return ""
    if not value:
        raise BadValueError(_("fill in the value."))
    if op in ("last_days", "next_days", "not_last_days"):
        if not value.isascii() or not value.isdigit() or not 0 < int(value[:6]) <= MOST_DAYS:
            raise BadValueError(_("give a number of days, at most %(n)s.") % {"n": MOST_DAYS})
        return int(value)
    if field in ("tag", "group"):
        return _read_set(client, field, value)
    if field == "import":
        if not value.isascii() or not value.isdigit() or len(value) > 18:
            raise BadValueError(_("give the number of the import."))
        return int(value)
    if field == "country":
        if not is_country(value.upper()):
            raise BadValueError(_("give a country by its two letters, such as KE."))
        return value.upper()
    if field == "network":
        found = next((name for name in known_networks() if name.casefold() == value.casefold()), None)
        if found is None:
            raise BadValueError(_("we know these networks: %(names)s.") % {"names": ", ".join(known_networks())})
        return found
    if field == "consent":
        if value not in ConsentSource.values:
            raise BadValueError(_("give one of: %(names)s.") % {"names": ", ".join(ConsentSource.values)})
        return value
    if field == "added" or kind == FieldKind.DATE:
        return read_value("date", value)
    if kind == FieldKind.NUMBER:
        return read_value("number", value)
    return value[:200]


def _read_set(client: Client, field: str, value: str) -> int:
    kinds = [GroupKind.TAG] if field == "tag" else [GroupKind.FIXED]
    sets = Group.objects.for_client(client).filter(kind__in=kinds)
    found = sets.filter(name__iexact=value).first()
    if found is None and value.isascii() and value.isdigit() and len(value) < 19:
        found = sets.filter(pk=int(value)).first()
    if found is None:
        what = _("there is no tag “%(name)s”.") if field == "tag" else _("there is no fixed group “%(name)s”.")
        raise BadValueError(what % {"name": value[:80]})
    return found.pk


def matching(client: Client, rule: Mapping[str, Any]) -> QuerySet[Contact]:
    """The client's contacts who meet the rule now, in no order. An unreadable or empty rule is met by nobody."""
    kinds = {OWN + f.key: FieldKind(f.kind) for f in ContactField.objects.for_client(client)}
    asked = [_condition(client, each, kinds.get(each["field"], FieldKind.TEXT)) for each in rule.get("conditions", [])]
    book = Contact.objects.for_client(client)
    if not asked:
        return book.filter(pk__lt=0)
    return book.filter(reduce(or_ if rule.get("match") == "any" else and_, asked))


def _condition(client: Client, asked: Mapping[str, Any], kind: FieldKind) -> Q:
    field, op, value = asked["field"], asked["op"], asked["value"]
    if field.startswith(OWN):
        return _own(client, field.removeprefix(OWN), kind, op, value)
    if field in ("name", "email", "department"):
        return _column(field, op, value)
    if field in ("tag", "group"):
        within = Exists(GroupMember.objects.filter(client=client, group_id=value, contact_id=OuterRef("pk")))
        return Q(within) if op == "in" else ~Q(within)
    return _SPECIAL[field](client, op, value)


def _column(field: str, op: str, value: str) -> Q:
    """A condition on one of the book's own text columns, which are never NULL."""
    if op in ("filled", "empty"):
        empty = Q(**{field: ""})
        return empty if op == "empty" else ~empty
    if op == "contains":
        return Q(**{f"{field}__icontains": value})
    same = Q(**{f"{field}__iexact": value})
    return same if op == "is" else ~same


def _own(client: Client, key: str, kind: FieldKind, op: str, value: Any) -> Q:
    """A condition on a field of the client's own; who has no value in it counts as empty."""
    text = KeyTextTransform(key, "attributes")
    missing = Q(IsNull(text, True))
    if op in ("filled", "empty"):
        return missing if op == "empty" else ~missing
    if kind == FieldKind.NUMBER:
        number = Case(When(_is_number(text), then=Cast(text, _NUMERIC)), default=None, output_field=_NUMERIC)
        lookup = {"is": Exact, "at_least": GreaterThanOrEqual, "at_most": LessThanOrEqual}[op]
        return Q(lookup(number, Decimal(value)))
    if kind == FieldKind.DATE:
        today = _today(client)
        if op in ("last_days", "next_days"):
            days = timedelta(days=value)
            first, last = (today - days, today) if op == "last_days" else (today, today + days)
            return (
                _is_date(text)
                & Q(GreaterThanOrEqual(text, first.isoformat()))
                & Q(LessThanOrEqual(text, last.isoformat()))
            )
        lookup = {"is": Exact, "before": LessThan, "since": GreaterThanOrEqual}[op]
        return _is_date(text) & Q(lookup(text, value))
    if op == "contains":
        return Q(IContains(text, value))
    same = Q(IExact(text, value))
    return same if op == "is" else missing | ~same


# What was kept before a field became a number or a date may be words, at which PostgreSQL's CAST would fail.
_NUMERIC = models.DecimalField(max_digits=30, decimal_places=9)


class _Glob(Lookup):
    """SQLite's own pattern match: its REGEXP calls back into Python for every row."""

    lookup_name = "glob"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} GLOB {right}", [*left_params, *right_params]


def _is_number(text: KeyTextTransform) -> Q:
    if on_postgres():
        return Q(Regex(text, r"^-?[0-9]+(\.[0-9]+)?$"))
    return Q(_Glob(text, "[-0-9]*")) & ~Q(_Glob(text, "*[^-0-9.]*"))


def _is_date(text: KeyTextTransform) -> Q:
    if on_postgres():
        return Q(Regex(text, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))
    return Q(_Glob(text, "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"))


def _today(client: Client) -> date:
    return timezone.now().astimezone(ZoneInfo(client.time_zone)).date()


def _midnight(client: Client, day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), ZoneInfo(client.time_zone))


def _country(_client: Client, op: str, value: str) -> Q:
    of_it = Q(phone__startswith=f"+{country_code_for_region(value)}")
    return of_it if op == "is" else Q(phone=None) | ~of_it


def _network(_client: Client, op: str, value: str) -> Q:
    by_size: dict[int, list[str]] = {}
    for prefix in network_prefixes(value):
        by_size.setdefault(len(prefix), []).append(prefix)
    parts = [
        Q(In(Func(F("phone"), Value(1), Value(size), function="SUBSTR", output_field=models.CharField()), prefixes))
        for size, prefixes in by_size.items()
    ]
    of_it = reduce(or_, parts)
    return of_it if op == "is" else Q(phone=None) | ~of_it


def _messaged(client: Client, op: str, value: int) -> Q:
    messages = all_messages()
    if messages is None:
        return Q(pk__lt=0) if op == "last_days" else Q(pk__gt=0)
    theirs = messages.filter(client_id=client.pk)
    if op != "never":
        theirs = theirs.filter(created_at__gte=timezone.now() - timedelta(days=value))
    got = Q(Exists(theirs.filter(recipient=OuterRef("phone"))))
    got |= Q(Exists(theirs.filter(recipient=OuterRef("email"), channel=Channel.EMAIL)))
    return got if op == "last_days" else ~got


def _added(client: Client, op: str, value: Any) -> Q:
    if op == "last_days":
        return Q(created_at__gte=timezone.now() - timedelta(days=value))
    moment = _midnight(client, value)
    return Q(created_at__lt=moment) if op == "before" else Q(created_at__gte=moment)


def in_import(client_id: int, import_id: int) -> Q:
    """Whether the contact was made by the import, or is one that no later file has met since the import met it."""
    made = Contact.objects.for_client(client_id).filter(created_import_id=import_id)
    met = ImportMeeting.objects.for_client(client_id).filter(contact_import_id=import_id)
    # One list of both, each from its index: a condition "made or met" made PostgreSQL read the whole book.
    return Q(pk__in=made.order_by().values("pk").union(met.order_by().values("contact_id"), all=True))


def _import(client: Client, _op: str, value: int) -> Q:
    return in_import(client.pk, value)


def _consent(_client: Client, op: str, value: str) -> Q:
    if op == "is":
        return Q(consent__source=value)
    return Q(consent_id=None) if op == "empty" else Q(consent_id__isnull=False)


def _opted_out(client: Client, op: str, _value: str) -> Q:
    gone = OptOut.objects.for_client(client).filter(channel=Channel.SMS, sender="", address=OuterRef("phone"))
    return Q(Exists(gone)) if op == "filled" else ~Q(Exists(gone))


_SPECIAL: dict[str, Callable[[Client, str, Any], Q]] = {
    "country": _country,
    "network": _network,
    "messaged": _messaged,
    "added": _added,
    "import": _import,
    "consent": _consent,
    "opted_out": _opted_out,
}


def describe(client: Client, rule: Mapping[str, Any]) -> list[str]:
    """Each condition in words, groups and tags by their present names."""
    known = conditions_for(client)
    names = dict(Group.objects.for_client(client).values_list("pk", "name"))
    lines = []
    for each in rule.get("conditions", []):
        title, ops = known.get(each["field"], (each["field"].removeprefix(OWN), _TEXT | _NUMBER | _DATE))
        value = names.get(each["value"], "?") if each["field"] in ("tag", "group") else each["value"]
        words = f"{title} {ops.get(each['op'], each['op'])}"
        lines.append(f"{words} {value}" if value != "" else words)
    return lines


def sets_in(rule: Mapping[str, Any]) -> set[int]:
    """The ids of the groups and tags that a rule asks about."""
    return {each["value"] for each in rule.get("conditions", []) if each["field"] in ("tag", "group")}
