"""Pages of contacts, mounted at the root by crm/urls.py."""

from django.urls import path

from contacts.views import book, fields, groups, imports, merging, opt_outs, several

app_name = "contacts"
urlpatterns = [
    path("app/contacts", book.contact_list, name="list"),
    path("app/contacts/new", book.contact_new, name="new"),
    path("app/contacts/selected", several.selected, name="selected"),
    path("app/contacts/bulk/<int:pk>", several.bulk_detail, name="bulk"),
    path("app/contacts/bulk/<int:pk>/stop", several.bulk_stop, name="bulk_stop"),
    path("app/contacts/bin", several.bin_list, name="bin"),
    path("app/contacts/bin/selected", several.bin_selected, name="bin_selected"),
    path("app/contacts/opt-outs", opt_outs.opt_out_list, name="opt_outs"),
    path("app/contacts/opt-outs/<int:pk>/remove", opt_outs.opt_out_remove, name="opt_out_remove"),
    path("o/<str:token>", opt_outs.opt_out_page, name="opt_out_page"),
    path("app/contacts/<int:pk>", book.contact_detail, name="detail"),
    path("app/contacts/<int:pk>/delete", book.contact_delete, name="delete"),
    path("app/contacts/<int:pk>/merge", merging.merge, name="merge"),
    path("app/contacts/fields", fields.field_list, name="fields"),
    path("app/contacts/fields/<int:pk>", fields.field_detail, name="field"),
    path("app/contacts/groups", groups.group_list, name="groups"),
    path("app/contacts/groups/rule", groups.rule_new, name="rule_new"),
    path("app/contacts/groups/<int:pk>/rule", groups.rule_edit, name="rule"),
    path("app/contacts/groups/<int:pk>", groups.group_rename, name="group"),
    path("app/contacts/groups/<int:pk>/delete", groups.group_delete, name="group_delete"),
    path("app/contacts/imports", imports.import_list, name="imports"),
    path("app/contacts/import", imports.import_upload, name="import"),
    path("app/contacts/import/template-<slug:language>.csv", imports.import_template, name="import_template"),
    path("app/contacts/import/chip", imports.import_chip, name="import_chip"),
    path("app/contacts/import/<int:pk>", imports.import_detail, name="import_detail"),
    path("app/contacts/import/<int:pk>/run", imports.import_detail, name="import_run"),
    path("app/contacts/import/<int:pk>/check", imports.import_check, name="import_check"),
    path("app/contacts/import/<int:pk>/discard", imports.import_discard, name="import_discard"),
    path("app/contacts/import/<int:pk>/correct", imports.import_correct, name="import_correct"),
    path("app/contacts/import/<int:pk>/undo", imports.import_undo, name="import_undo"),
    path("app/contacts/import/<int:pk>/audience", imports.import_audience, name="import_audience"),
    path("app/contacts/import/<int:pk>/stop", imports.import_stop, name="import_stop"),
    path("app/contacts/import/<int:pk>/rejected.csv", imports.import_rejected, name="import_rejected"),
]
