"""What providers post to us: the secret path is checked, the body is kept raw, the parser is woken, 200 is answered."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from messaging.models import ProviderAccount
from messaging.providers.base import UnreadableCallback
from messaging.providers.registry import get_adapter
from messaging.services.reports import store_callback

MAX_BYTES = 64 << 10


@csrf_exempt
def provider_callback(request: HttpRequest, adapter: str, token: str, kind: str) -> HttpResponse:
    """POST /callbacks/{adapter}/{token}/{kind}. Unknown paths look alike; malformed bodies get 400, never 5xx."""
    if request.method != "POST":
        return JsonResponse({"error": "POST only"}, status=405, headers={"Allow": "POST"})
    account = None
    if "\x00" not in token:  # no text for PostgreSQL
        account = ProviderAccount.objects.filter(callback_token=token, adapter=adapter).first()
    if account is None or kind not in get_adapter(adapter).callback_kinds:
        return JsonResponse({"error": "not found"}, status=404)
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or int(length) > MAX_BYTES:
        return JsonResponse({"error": "body too large"}, status=413)
    try:
        store_callback(
            account=account,
            kind=kind,
            content_type=request.content_type or "",
            query=request.META.get("QUERY_STRING", "")[:2000],
            body=request.body,
        )
    except UnreadableCallback as error:
        return JsonResponse({"error": str(error)}, status=400)
    return HttpResponse(b"OK", content_type="text/plain")


provider_callback.is_public = True  # type: ignore[attr-defined]
