"""Native API of messaging, mounted under /api/{client_id}/ by crm/urls.py."""

from django.urls import path

from messaging.api.messages import SendMessageView, SendSmsView, SmsHistoryView, SmsStatisticsView, SmsStatusView
from messaging.api.statement import TransactionsView

urlpatterns = [
    path("messages/send", SendMessageView.as_view(), name="api_send_message"),
    path("sms/send", SendSmsView.as_view(), name="api_send_sms"),
    path("sms/status/<str:message_id>", SmsStatusView.as_view(), name="api_sms_status"),
    path("sms/history", SmsHistoryView.as_view(), name="api_sms_history"),
    path("sms/statistics", SmsStatisticsView.as_view(), name="api_sms_statistics"),
    path("wallet/transactions", TransactionsView.as_view(), name="api_transactions"),
]
