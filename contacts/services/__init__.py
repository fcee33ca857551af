"""Every change to a client's book, re-exported for doors and other apps."""

from contacts.services.contacts import create_contact, delete_contacts, update_contact
from contacts.services.fields import change_field, create_field, delete_field
from contacts.services.groups import add_to_group, create_group, delete_group, remove_from_group, rename_group
from contacts.services.import_undo import run_undo, undo_import
from contacts.services.imports import (
    begin_import,
    configure_import,
    discard_import,
    refuse_import,
    release_import,
    retake_rejects,
    run_import,
    start_import,
    stop_import,
)
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
    "change_field",
    "configure_import",
    "create_contact",
    "create_field",
    "create_group",
    "delete_contacts",
    "delete_field",
    "delete_group",
    "discard_import",
    "find_opt_out_link",
    "follow_opt_out_link",
    "is_opted_out",
    "opt_out_urls",
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
    "retake_rejects",
    "run_import",
    "run_undo",
    "start_import",
    "stop_import",
    "take_reply",
    "undo_import",
    "update_contact",
]
