"""Who calls the API: the key in `X-API-KEY`, in any letter case, or in `Authorization: Bearer`."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts import queries
from accounts.models import ApiKey
from accounts.requests.recording import note_caller, used_for
from accounts.services.keys import note_use
from crm.common.addresses import client_address


class ApiKeyAuthentication(BaseAuthentication):
    """Sets `request.auth` to the ApiKey, whose client is the tenant (T1); no person is behind it, so `user` is None."""

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        http = request._request
        if lent := getattr(http, "lent_key", None):  # by a page of ours, for a call inside this process
            return None, lent
        presented = find_credential(request)
        if not presented:
            return None
        found = getattr(http, "found", None)  # looked up with others (accounts/services/admission.py)
        key = found.key if found else queries.find_key(presented)
        if key is None:
            note_caller(http, queries.find_ended_key(presented))
            raise AuthenticationFailed("The API key is unknown, revoked or expired.")
        note_caller(http, key)
        note_use(key=key, address=client_address(request), used_for=used_for(http))
        return None, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def find_credential(request: Request) -> str:
    """The key as it is presented; "" without one."""
    if key := request.headers.get("X-API-KEY", "").strip():
        return key
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
