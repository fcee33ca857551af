"""Pages of accounts, mounted at the root by crm/urls.py: sign-in by allauth, and what belongs to an organisation."""

from allauth.account import views as allauth_views
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.urls import path, re_path
from django.views.generic import RedirectView

from accounts.views import (
    audit,
    exports,
    keys,
    notifications,
    people,
    privacy,
    registering,
    requests,
    retention,
    saved_views,
    team,
    webhooks,
)
from crm.common.access import public_page, signed_in_page

urlpatterns = [
    path("login", public_page(allauth_views.login), name="account_login"),
    path("logout", public_page(allauth_views.logout), name="account_logout"),
    path("register", public_page(registering.register), name="account_signup"),
    path("register/phone", public_page(registering.verify_phone), name="account_verify_phone"),
    path("register/by-email", public_page(registering.by_email), name="verify_by_email"),
    path("register/email", public_page(allauth_views.email_verification_sent), name="account_email_verification_sent"),
    path("login/second", public_page(mfa.authenticate), name="mfa_authenticate"),
    path("login/passkey", public_page(passkeys.login_webauthn), name="mfa_login_webauthn"),
    path("password/forgotten", public_page(allauth_views.password_reset), name="account_reset_password"),
    path("password/forgotten/sent", public_page(allauth_views.password_reset_done), name="account_reset_password_done"),
    re_path(
        r"^password/new/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)$",
        public_page(allauth_views.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
    path(
        "password/new/done",
        public_page(allauth_views.password_reset_from_key_done),
        name="account_reset_password_from_key_done",
    ),
    path("invite/<str:token>", team.invitation, name="invitation"),
    path("app/settings/profile", people.profile, name="profile"),
    path("app/settings/profile/email", people.change_email, name="account_email"),
    path("app/settings/profile/phone", registering.phone, name="phone"),
    path("app/settings/organisation", people.organisation_page, name="organisation"),
    path("app/settings/simulation", people.simulation, name="simulation"),
    path("app/settings/security", people.security, name="security"),
    path("app/settings/security/sign-out-others", people.sign_out_others, name="sign_out_others"),
    path("app/settings/team", team.team_page, name="team"),
    path("app/settings/team/invite", team.invite, name="invite"),
    path("app/settings/team/<int:pk>", team.member, name="member"),
    path("app/settings/team/<int:pk>/remove", team.member_remove, name="member_remove"),
    path("app/settings/team/invitations/<int:pk>/revoke", team.invitation_revoke, name="invitation_revoke"),
    path("security/", signed_in_page(RedirectView.as_view(pattern_name="security")), name="mfa_index"),  # type: ignore[arg-type]
    *(
        path(f"security/{route}", signed_in_page(view), name=name)
        for route, view, name in (
            ("confirm", allauth_views.reauthenticate, "account_reauthenticate"),
            ("confirm/code", mfa.reauthenticate, "mfa_reauthenticate"),
            ("confirm/passkey", passkeys.reauthenticate_webauthn, "mfa_reauthenticate_webauthn"),
            ("app", totp.activate_totp, "mfa_activate_totp"),
            ("app/remove", totp.deactivate_totp, "mfa_deactivate_totp"),
            ("codes", recovery_codes.view_recovery_codes, "mfa_view_recovery_codes"),
            ("codes/new", recovery_codes.generate_recovery_codes, "mfa_generate_recovery_codes"),
            ("codes/download", recovery_codes.download_recovery_codes, "mfa_download_recovery_codes"),
            ("passkeys", passkeys.list_webauthn, "mfa_list_webauthn"),
            ("passkeys/new", passkeys.add_webauthn, "mfa_add_webauthn"),
            ("passkeys/<int:pk>/remove", passkeys.remove_webauthn, "mfa_remove_webauthn"),
            ("passkeys/<int:pk>/rename", passkeys.edit_webauthn, "mfa_edit_webauthn"),
        )
    ),
    path("login/inactive", public_page(allauth_views.account_inactive), name="account_inactive"),
    path("password/change", keys.change_password, name="account_change_password"),
    path("no-organisation", keys.no_organisation, name="no_organisation"),
    path("app/switch", keys.switch_client, name="switch_client"),
    path("app/views/<slug:name>", saved_views.keep, name="keep_view"),
    path("app/views/<slug:name>/<int:view_id>/delete", saved_views.forget, name="forget_view"),
    path("app/settings/notifications", notifications.notifications, name="notifications"),
    path("app/settings/notifications/test", notifications.test_notifications, name="test_notifications"),
    path("app/settings/audit", audit.audit_log, name="audit_log"),
    path("app/settings/privacy", privacy.data_rights, name="data_rights"),
    path("app/settings/data", retention.data_life, name="data_life"),
    path("app/settings/data/export", retention.export_all, name="export_all"),
    path("app/settings/data/close", retention.close, name="close_client"),
    path("app/settings/data/keep", retention.keep, name="keep_client"),
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
