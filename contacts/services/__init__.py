"""Every change to a client's book, re-exported for doors and other apps."""

from contacts.services.bin import delete_contacts, empty_bin, erase_from_bin, restore_contacts
from contacts.services.bulk import change_contacts, run_bulk, start_bulk, stop_bulk
from contacts.services.consents import set_consent
from contacts.services.contacts import create_contact, update_contact
from contacts.services.fields import change_field, create_field, delete_field
from contacts.services.groups import (
    add_to_group,
    change_rule,
    create_group,
    create_rule_group,
    create_tag,
    delete_group,
    ensure_tags,
    group_of_import,
    remove_from_group,
    rename_group,
)
from contacts.services.import_runs import refuse_import, release_import, run_import, stop_import
from contacts.services.import_undo import run_undo, undo_import
from contacts.services.imports import (
    begin_import,
    configure_import,
    discard_import,
    retake_rejects,
    start_import,
)
from contacts.services.merging import merge_contacts, plan_merge
from contacts.services.opt_outs import (
    find_opt_out_link,
    follow_opt_out_link,
    is_opted_out,
    opt_out_urls,
    read_client_phone,
    read_numbers,
    record_listed_opt_outs,
    record_opt_out,
    record_opt_outs,
    remove_opt_out,
    take_reply,
)

__all__ = [
    "add_to_group",
    "begin_import",
    "change_contacts",
    "change_field",
    "change_rule",
    "configure_import",
    "create_contact",
    "create_field",
    "create_group",
    "create_rule_group",
    "create_tag",
    "delete_contacts",
    "delete_field",
    "delete_group",
    "discard_import",
    "empty_bin",
    "ensure_tags",
    "erase_from_bin",
    "find_opt_out_link",
    "follow_opt_out_link",
    "group_of_import",
    "is_opted_out",
    "merge_contacts",
    "opt_out_urls",
    "plan_merge",
    "read_client_phone",
    "read_numbers",
    "record_listed_opt_outs",
    "record_opt_out",
    "record_opt_outs",
    "refuse_import",
    "release_import",
    "remove_from_group",
    "remove_opt_out",
    "rename_group",
    "restore_contacts",
    "retake_rejects",
    "run_bulk",
    "run_import",
    "run_undo",
    "set_consent",
    "start_bulk",
    "start_import",
    "stop_bulk",
    "stop_import",
    "take_reply",
    "undo_import",
    "update_contact",
]
