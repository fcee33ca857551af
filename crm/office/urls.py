"""Pages of the back office beside the admin's own. Every one asks for a member of staff."""

from django.contrib import admin
from django.urls import path

from crm.office import approvals, clients, rules, view_as
from messaging.views import dry_run

staff = admin.site.admin_view
urlpatterns = [
    path("approvals/", staff(approvals.approvals), name="approvals"),
    path("approvals/<slug:kind>/<int:pk>/", staff(approvals.approval), name="approval"),
    path("clients/<int:pk>/view-as/", staff(view_as.start), name="view_as"),
    path("clients/<int:pk>/go-live/", staff(clients.go_live), name="staff_go_live"),
    path("view-as/stop/", staff(view_as.stop), name="view_as_stop"),
    path("messaging/provideraccount/<int:pk>/dry-run/", dry_run.page, name="provider_dry_run"),
    path("rules/", staff(rules.rules), name="country_rules"),
]
