"""Every change to a client's book, re-exported for doors and other apps."""

from contacts.services.contacts import create_contact, delete_contacts, update_contact
from contacts.services.groups import add_to_group, create_group, delete_group, remove_from_group, rename_group
from contacts.services.imports import (
    begin_import,
    configure_import,
    discard_import,
    run_import,
    start_import,
    stop_import,
)
from contacts.services.opt_outs import read_client_phone, record_opt_out, remove_opt_out

__all__ = [
    "add_to_group",
    "begin_import",
    "configure_import",
    "create_contact",
    "create_group",
    "delete_contacts",
    "delete_group",
    "discard_import",
    "read_client_phone",
    "record_opt_out",
    "remove_from_group",
    "remove_opt_out",
    "rename_group",
    "run_import",
    "start_import",
    "stop_import",
    "update_contact",
]
