"""The URL map. `/api` and `/console` are for programs, `/callbacks` for providers, `/app` for members, `/staff` for
the operator.
"""

from django.contrib import admin
from django.urls import include, path

from crm import brand, home, pages, public, search
from crm.docs.views import openapi
from crm.health import health, live, ready
from crm.watching.views import metrics

admin.autodiscover()

urlpatterns = [
    path("api/health", health),
    path("api/health/live", live),
    path("api/health/ready", ready),
    path("metrics", metrics),
    path("callbacks/", include("wallet.callback_urls")),
    path("callbacks/", include("messaging.callback_urls")),
    path("api/schema", openapi, name="api_schema"),
    path("api/<int:client_id>/", include("messaging.api_urls")),
    path("api/<int:client_id>/", include("wallet.api_urls")),
    path("api/<int:client_id>/", include("contacts.api_urls")),
    path("api/<int:client_id>/", include("accounts.api_urls")),
    path("api/integration/", include("messaging.dialects.mifumo.urls")),
    path("api/v1/", include("messaging.dialects.paydunya.urls")),
    path("console/", include("messaging.dialects.smspresto.urls")),
    path("", include("messaging.dialects.texin.urls")),  # last under /api: it answers whatever is left there
    path("", public.landing, name="front"),
    path("pricing", public.pricing, name="pricing"),
    path("sms-counter", public.sms_counter, name="sms_counter"),
    path("status", public.status, name="status"),
    path("brand/accent.css", brand.accent, name="brand_accent"),
    path("brand/logo", brand.logo, name="brand_logo"),
    path("app", home.home, name="home"),
    path("app/steps", home.skip_step, name="skip_step"),
    path("app/search", search.search, name="search"),
    path("app/welcome", pages.welcome, name="welcome"),
    path("docs", include("crm.docs.urls")),
    path("theme", pages.set_theme, name="set_theme"),
    path("language", pages.set_language, name="set_language"),
    path("", include("accounts.urls")),
    path("", include("contacts.urls")),
    path("", include("wallet.urls")),
    path("", include("messaging.urls")),
    path("staff/", include("crm.office.urls")),
    path("staff/", admin.site.urls),
]

handler400 = "crm.errors.bad_request"
handler403 = "crm.errors.permission_denied"
handler404 = "crm.errors.page_not_found"
handler500 = "crm.errors.server_error"
