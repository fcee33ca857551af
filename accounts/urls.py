"""Pages of accounts, mounted at the root by crm/urls.py: sign-in by allauth, and what belongs to an organisation."""

from allauth.account import views as allauth_views
from django.urls import path

from accounts import views
from crm.common.access import public_page

urlpatterns = [
    path("login", public_page(allauth_views.login), name="account_login"),
    path("logout", public_page(allauth_views.logout), name="account_logout"),
    path("register", public_page(allauth_views.signup), name="account_signup"),
    path("login/inactive", public_page(allauth_views.account_inactive), name="account_inactive"),
    path("password/change", views.change_password, name="account_change_password"),
    path("no-organisation", views.no_organisation, name="no_organisation"),
    path("app/switch", views.switch_client, name="switch_client"),
    path("app/settings/api-webhooks", views.api_keys, name="api_keys"),
    path("app/settings/api-webhooks/keys/new", views.new_api_key, name="new_api_key"),
    path("app/settings/api-webhooks/keys/<int:key_id>/revoke", views.revoke_key, name="revoke_api_key"),
]
