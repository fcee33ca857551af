"""The URL map. `/api` belongs to programs, `/callbacks` to providers, `/app` to members, `/staff` to the operator."""

from django.contrib import admin
from django.urls import include, path

from crm import pages
from crm.health import health

urlpatterns = [
    path("api/health", health),
    path("api/<int:client_id>/", include("messaging.api_urls")),
    path("api/<int:client_id>/", include("wallet.api_urls")),
    path("api/<int:client_id>/", include("contacts.api_urls")),
    path("api/<int:client_id>/", include("accounts.api_urls")),
    path("", pages.front, name="front"),
    path("app", pages.home, name="home"),
    path("theme", pages.set_theme, name="set_theme"),
    path("", include("accounts.urls")),
    path("", include("contacts.urls")),
    path("", include("wallet.urls")),
    path("", include("messaging.urls")),
    path("staff/", admin.site.urls),
]

handler400 = "crm.errors.bad_request"
handler403 = "crm.errors.permission_denied"
handler404 = "crm.errors.page_not_found"
handler500 = "crm.errors.server_error"
