"""Texin's addresses, mounted at the root by crm/urls.py: they lie flat under /api, beside the native API's.

A number and a slash is a client's own room: that path is the native API's to answer.
"""

from django.urls import path, re_path

from messaging.dialects.texin import views

_ROUTES = {
    "api": views.InformationView,
    "api/test_connection": views.ConnectionView,
    "api/send_sms": views.SendView,
    "api/send_bulk_sms": views.SendBulkView,
    "api/check_status": views.StatusView,
    "api/get_balance": views.BalanceView,
}
urlpatterns = [
    *(path(route + end, view.as_view()) for route, view in _ROUTES.items() for end in ("", "/")),
    re_path(r"^api/(?!-?[0-9]+/$)(?P<rest>[^/]+)/?$", views.UnknownView.as_view()),
]
