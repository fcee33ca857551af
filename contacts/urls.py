"""Pages of contacts, mounted at the root by crm/urls.py."""

from django.urls import path

from contacts.views import book, groups, imports

app_name = "contacts"
urlpatterns = [
    path("app/contacts", book.contact_list, name="list"),
    path("app/contacts/new", book.contact_new, name="new"),
    path("app/contacts/selected", book.selected, name="selected"),
    path("app/contacts/opt-outs", book.opt_outs, name="opt_outs"),
    path("app/contacts/<int:pk>", book.contact_detail, name="detail"),
    path("app/contacts/<int:pk>/delete", book.contact_delete, name="delete"),
    path("app/contacts/groups", groups.group_list, name="groups"),
    path("app/contacts/groups/<int:pk>", groups.group_rename, name="group"),
    path("app/contacts/groups/<int:pk>/delete", groups.group_delete, name="group_delete"),
    path("app/contacts/imports", imports.import_list, name="imports"),
    path("app/contacts/import", imports.import_upload, name="import"),
    path("app/contacts/import/template.csv", imports.import_template, name="import_template"),
    path("app/contacts/import/<int:pk>", imports.import_detail, name="import_detail"),
    path("app/contacts/import/<int:pk>/run", imports.import_detail, name="import_run"),
    path("app/contacts/import/<int:pk>/check", imports.import_check, name="import_check"),
    path("app/contacts/import/<int:pk>/discard", imports.import_discard, name="import_discard"),
    path("app/contacts/import/<int:pk>/stop", imports.import_stop, name="import_stop"),
    path("app/contacts/import/<int:pk>/rejected.csv", imports.import_rejected, name="import_rejected"),
]
