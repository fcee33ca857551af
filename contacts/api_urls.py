"""Native API of contacts, mounted under /api/{client_id}/ by crm/urls.py."""

from django.urls import path

from contacts import api

urlpatterns = [
    path("contacts", api.ContactsView.as_view(), name="api_contacts"),
    path("contacts/<int:contact_id>", api.ContactView.as_view(), name="api_contact"),
    path("contacts/groups", api.GroupsView.as_view(), name="api_groups"),
    path("contacts/groups/<int:group_id>", api.GroupView.as_view(), name="api_group"),
    path("contacts/groups/<int:group_id>/contacts", api.GroupMembersView.as_view(), name="api_group_members"),
    path("contacts/bulk-import", api.ImportView.as_view(), name="api_import"),
    path("contacts/imports/<int:import_id>", api.ImportResultView.as_view(), name="api_import_result"),
]
