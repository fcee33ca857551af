"""Pages of accounts, mounted at the root by crm/urls.py: sign-in by allauth, and what belongs to an organisation."""

from allauth.account import views as allauth_views
from django.urls import path

from accounts.views import audit, exports, keys, notifications, requests, saved_views, webhooks
from crm.common.access import public_page

urlpatterns = [
    path("login", public_page(allauth_views.login), name="account_login"),
    path("logout", public_page(allauth_views.logout), name="account_logout"),
    path("register", public_page(allauth_views.signup), name="account_signup"),
    path("login/inactive", public_page(allauth_views.account_inactive), name="account_inactive"),
    path("password/change", keys.change_password, name="account_change_password"),
    path("no-organisation", keys.no_organisation, name="no_organisation"),
    path("app/switch", keys.switch_client, name="switch_client"),
    path("app/views/<slug:name>", saved_views.keep, name="keep_view"),
    path("app/views/<slug:name>/<int:view_id>/delete", saved_views.forget, name="forget_view"),
    path("app/settings/notifications", notifications.notifications, name="notifications"),
    path("app/settings/notifications/test", notifications.test_notifications, name="test_notifications"),
    path("app/settings/audit", audit.audit_log, name="audit_log"),
    path("app/exports", exports.export_list, name="exports"),
    path("app/exports/new", exports.new_export, name="new_export"),
    path("app/exports/<int:export_id>/file", exports.export_file, name="export_file"),
    path("app/settings/api-webhooks", keys.api_keys, name="api_keys"),
    path("app/settings/api-webhooks/keys/new", keys.new_api_key, name="new_api_key"),
    path("app/settings/api-webhooks/keys/<int:key_id>/revoke", keys.revoke_key, name="revoke_api_key"),
    path("app/settings/api-webhooks/keys/<int:key_id>/rotate", keys.rotate_key, name="rotate_api_key"),
    path("app/settings/api-webhooks/keys/env", keys.key_file, name="api_key_file"),
    path("app/settings/api-webhooks/requests", requests.api_requests, name="api_requests"),
    *(
        path(f"app/settings/api-webhooks/webhooks/{route}", view, name=name)
        for route, view, name in (
            ("new", webhooks.new_webhook, "new_webhook"),
            ("<int:endpoint_id>", webhooks.webhook, "webhook"),
            ("<int:endpoint_id>/edit", webhooks.edit_webhook, "edit_webhook"),
            ("<int:endpoint_id>/rotate", webhooks.rotate, "rotate_webhook"),
            ("<int:endpoint_id>/delete", webhooks.delete, "delete_webhook"),
            ("<int:endpoint_id>/pause", webhooks.pause, "pause_webhook"),
            ("<int:endpoint_id>/resume", webhooks.resume, "resume_webhook"),
            ("<int:endpoint_id>/test", webhooks.test, "test_webhook"),
            ("<int:endpoint_id>/redeliver", webhooks.redeliver, "redeliver_webhook"),
        )
    ),
]
