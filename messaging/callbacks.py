"""What providers send to us: the secret path and the signature are checked, the body is kept raw, the parser is woken,
and the vendor hears what it expects."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from messaging.providers.base import Callback, UnreadableCallback
from messaging.providers.registry import get_adapter
from messaging.services.provider_access import account_called, adapter_of, credentials_of
from messaging.services.reports import store_callback

LONGEST_QUERY = 4000


@csrf_exempt
def provider_callback(request: HttpRequest, adapter: str, token: str, kind: str) -> HttpResponse:
    """/callbacks/{adapter}/{token}/{kind}. Unknown paths look alike; malformed bodies get 400, never 5xx.

    POST, and GET where the vendor uses it. A wrong signature: 403, and nothing is kept.
    """
    account = account_called(adapter=adapter, token=token)
    if account is None or kind not in get_adapter(adapter).callback_kinds:
        return JsonResponse({"error": "not found"}, status=404)
    spoken = adapter_of(account)
    if request.method not in spoken.callback_methods:
        allowed = ", ".join(spoken.callback_methods)
        return JsonResponse({"error": f"{allowed} only"}, status=405, headers={"Allow": allowed})
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or int(length) > spoken.callback_bytes:
        return JsonResponse({"error": "body too large"}, status=413)
    callback = Callback(
        kind=kind,
        content_type=request.META.get("CONTENT_TYPE", ""),
        query=request.META.get("QUERY_STRING", "")[:LONGEST_QUERY],
        body=request.body if request.method == "POST" else b"",
        headers={name.lower(): value for name, value in request.headers.items()},
        method=request.method,
    )
    credentials = credentials_of(account)
    # The address as the vendor has it: behind a proxy the request itself names another.
    if not spoken.verify_callback(callback, credentials, settings.PUBLIC_URL + request.get_full_path()):
        return JsonResponse({"error": "wrong signature"}, status=403)
    try:
        answer = spoken.answer_callback(callback, credentials)
        if answer.stored:
            store_callback(
                account=account,
                kind=kind,
                content_type=callback.content_type,
                query=callback.query,
                body=callback.body,
                method=callback.method,
            )
    except UnreadableCallback as error:
        return JsonResponse({"error": str(error)}, status=400)
    return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)


provider_callback.is_public = True  # type: ignore[attr-defined]
