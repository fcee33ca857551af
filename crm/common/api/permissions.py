"""What a key may call. The default is refusal: a view that names no scope serves nobody (GUARANTEES.md T1, T3)."""

from typing import Any

from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from crm.common.addresses import client_address, is_within


class KeyMayCall(BasePermission):
    """The key's client is the one in the URL and active, the caller's address is allowed, the view's scope is held.

    A suspended client reads, and pays (`while_suspended`); it changes and sends nothing (UX.md §4).
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        key = request.auth
        if key is None:
            raise NotAuthenticated
        if view.kwargs.get("client_id", key.client_id) != key.client_id:
            raise PermissionDenied("This API key belongs to another client than the one in the URL.")
        if not key.client.is_active and request.method not in SAFE_METHODS and not view.while_suspended:
            reason = key.client.suspended_reason
            raise PermissionDenied(f"This account is suspended: {reason}" if reason else "This account is suspended.")
        if key.allowed_addresses and not is_within(client_address(request), key.allowed_addresses):
            raise PermissionDenied("This API key may not be used from your address.")
        if view.required_scope not in key.scopes:
            raise PermissionDenied(f"This API key lacks the scope “{view.required_scope}”.")
        return True
