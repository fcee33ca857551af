"""Reads of a client's book, shared by pages, API and messaging."""

from contacts.queries.audiences import (
    Recipient,
    audience,
    audience_size,
    members_among,
    members_of,
    people_by_phone,
    within_sql,
)
from contacts.queries.book import (
    bin_for,
    contacts_for,
    decorate,
    fixed_groups_for,
    groups_for,
    groups_with_counts,
    messages_of,
    rule_groups_of,
    tags_for,
    tags_with_counts,
    titles_of,
)
from contacts.queries.imports import (
    check_import,
    column_samples,
    import_under_way,
    imports_for,
    kept_by_undo,
    rejects_of,
)
from contacts.queries.opt_outs import opt_out_history_of, opt_outs_for, opt_outs_of, opted_out_among

__all__ = [
    "Recipient",
    "audience",
    "audience_size",
    "bin_for",
    "check_import",
    "column_samples",
    "contacts_for",
    "decorate",
    "fixed_groups_for",
    "groups_for",
    "groups_with_counts",
    "import_under_way",
    "imports_for",
    "kept_by_undo",
    "members_among",
    "members_of",
    "messages_of",
    "opt_out_history_of",
    "opt_outs_for",
    "opt_outs_of",
    "opted_out_among",
    "people_by_phone",
    "rejects_of",
    "rule_groups_of",
    "tags_for",
    "tags_with_counts",
    "titles_of",
    "within_sql",
]
