"""PayDunya's addresses, mounted at /api/v1/ by crm/urls.py; each works with a slash at its end too."""

from django.urls import path

from messaging.dialects.paydunya import views

_ROUTES = {
    "auth/login": views.LoginView,
    "auth/logout": views.LogoutView,
    "sms/send": views.SendView,
    "sms/stats": views.StatsView,
    "<path:rest>": views.UnknownView,
}
urlpatterns = [path(route + end, view.as_view()) for route, view in _ROUTES.items() for end in ("", "/")]
