"""Texin's addresses, mounted at the root by crm/urls.py: they lie flat under /api, beside the native API's."""

from django.urls import path

from messaging.dialects.texin import views

_ROUTES = {
    "api": views.InformationView,
    "api/test_connection": views.ConnectionView,
    "api/send_sms": views.SendView,
    "api/send_bulk_sms": views.SendBulkView,
    "api/check_status": views.StatusView,
    "api/get_balance": views.BalanceView,
    "api/<str:rest>": views.UnknownView,
}
urlpatterns = [path(route + end, view.as_view()) for route, view in _ROUTES.items() for end in ("", "/")]
