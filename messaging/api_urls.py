"""Native API of messaging, mounted under /api/{client_id}/ by crm/urls.py."""

from django.urls import path

from messaging.api import campaigns
from messaging.api.messages import SendMessageView, SendSmsView, SmsHistoryView, SmsStatisticsView, SmsStatusView
from messaging.api.statement import TransactionsView

urlpatterns = [
    path("messages/send", SendMessageView.as_view(), name="api_send_message"),
    path("sms/send", SendSmsView.as_view(), name="api_send_sms"),
    path("sms/status/<str:message_id>", SmsStatusView.as_view(), name="api_sms_status"),
    path("sms/history", SmsHistoryView.as_view(), name="api_sms_history"),
    path("sms/statistics", SmsStatisticsView.as_view(), name="api_sms_statistics"),
    path("wallet/transactions", TransactionsView.as_view(), name="api_transactions"),
    path("campaigns", campaigns.CampaignsView.as_view(), name="api_campaigns"),
    path("campaigns/<int:campaign_id>", campaigns.CampaignView.as_view(), name="api_campaign"),
    path("campaigns/<int:campaign_id>/estimate", campaigns.EstimateView.as_view(), name="api_campaign_estimate"),
    path("campaigns/<int:campaign_id>/send", campaigns.LaunchView.as_view(), name="api_campaign_send"),
    path("campaigns/<int:campaign_id>/pause", campaigns.PauseView.as_view(), name="api_campaign_pause"),
    path("campaigns/<int:campaign_id>/resume", campaigns.ResumeView.as_view(), name="api_campaign_resume"),
    path("campaigns/<int:campaign_id>/cancel", campaigns.CancelView.as_view(), name="api_campaign_cancel"),
]
