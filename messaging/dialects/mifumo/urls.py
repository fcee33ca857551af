"""Mifumo's addresses, mounted at /api/integration/ by crm/urls.py. Each works with and without its last slash."""

from django.urls import path

from messaging.dialects.mifumo import views

_ROUTES = {
    "v1/sms/send": views.SendView,
    "v1/sms/status/<str:message_id>": views.StatusView,
    "v1/sms/delivery-reports": views.ReportsView,
    "v1/sms/balance": views.BalanceView,
}
urlpatterns = [
    *(path(route + end, view.as_view()) for route, view in _ROUTES.items() for end in ("/", "")),
    path("<path:rest>", views.UnknownView.as_view()),
]
