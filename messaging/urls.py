"""Pages and callbacks of messaging, mounted at the root by crm/urls.py."""

from django.urls import path

from messaging import callbacks
from messaging.views import campaigns, compat, composing, dry_run, messages, policy, reviewing, sending, templates

urlpatterns = [
    path("app/templates", templates.template_list, name="template_list"),
    path("app/templates/new", templates.template_new, name="template_new"),
    path("app/templates/<int:pk>", templates.template_edit, name="template_edit"),
    path("app/templates/<int:pk>/delete", templates.template_delete, name="template_delete"),
    path("app/send", sending.send, name="send"),
    path("app/send/check", sending.check, name="send_check"),
    path("app/send/<int:pk>", sending.sent, name="sent"),
    path("app/campaigns", campaigns.campaign_list, name="campaign_list"),
    path("app/campaigns/new", composing.new, name="campaign_new"),
    path("app/campaigns/preview", composing.preview, name="campaign_preview"),
    path("app/campaigns/audience", composing.audience, name="campaign_audience"),
    path("app/campaigns/<int:pk>/return", reviewing.return_to_author, name="campaign_return"),
    path("app/campaigns/<int:pk>/reach-again", campaigns.reach_again, name="campaign_reach_again"),
    path("app/settings/sending", policy.sending_policy, name="sending_policy"),
    path("app/campaigns/<int:pk>", campaigns.campaign_detail, name="campaign"),
    path("app/campaigns/<int:pk>/edit", composing.edit, name="campaign_edit"),
    path("app/campaigns/<int:pk>/review", reviewing.review, name="campaign_review"),
    path("app/campaigns/<int:pk>/send", reviewing.send, name="campaign_send"),
    path("app/campaigns/<int:pk>/move", reviewing.move, name="campaign_move"),
    path("app/campaigns/<int:pk>/stop", campaigns.stop, name="campaign_stop"),
    path("app/scheduled", campaigns.scheduled, name="scheduled"),
    path("app/campaigns/<int:pk>/duplicate", campaigns.duplicate, name="campaign_duplicate"),
    path("app/campaigns/<int:pk>/retry", campaigns.retry, name="campaign_retry"),
    path("app/campaigns/<int:pk>/pause", campaigns.pause, name="campaign_pause"),
    path("app/campaigns/<int:pk>/resume", campaigns.resume, name="campaign_resume"),
    path("app/campaigns/<int:pk>/cancel", campaigns.cancel, name="campaign_cancel"),
    path("app/campaigns/<int:pk>/delete", campaigns.delete, name="campaign_delete"),
    path("app/messages", messages.message_list, name="message_list"),
    path("app/settings/api-webhooks/compat", compat.compatibility, name="compatibility"),
    path("staff/messaging/provideraccount/<int:pk>/dry-run/", dry_run.page, name="provider_dry_run"),
    path("callbacks/<slug:adapter>/<str:token>/<slug:kind>", callbacks.provider_callback, name="provider_callback"),
]
