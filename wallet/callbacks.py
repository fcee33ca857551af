"""What operators of mobile money post to us, on secret paths: kept raw, answered at once, judged afterwards (P6).

Malformed bodies get 4xx and nothing is kept; no cause of theirs gives 5xx. Paths avoid words that Safaricom refuses.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from crm.common.access import public_page
from crm.common.addresses import client_address
from crm.common.errors import DomainError
from wallet.payments.base import UnreadableNotice
from wallet.topups import arriving, paybill

MAX_BYTES = 64 << 10
ACCEPTED = {"ResultCode": 0, "ResultDesc": "Accepted"}
WRONG_ACCOUNT = "C2B00012"  # of a refused validation: the payer is told, and keeps the money


@public_page
@csrf_exempt
def payment_notice(request: HttpRequest, token: str) -> HttpResponse:
    """POST /callbacks/pay/{token}: how a prompt ended."""
    if refusal := _refuse(request):
        return refusal
    try:
        known = arriving.take_notice(token=token, body=request.body, address=client_address(request))
    except (UnreadableNotice, DomainError) as error:
        return JsonResponse({"error": str(error)}, status=400)
    return JsonResponse(ACCEPTED) if known else JsonResponse({"error": "not found"}, status=404)


@public_page
@csrf_exempt
def paybill_notice(request: HttpRequest, token: str, kind: str) -> HttpResponse:
    """POST /callbacks/pay/{token}/{kind}: a payment to the paybill, before it is taken (validation) or after."""
    if refusal := _refuse(request):
        return refusal
    account = arriving.account_of(token)
    if account is None or kind not in ("validation", "confirmation"):
        return JsonResponse({"error": "not found"}, status=404)
    try:
        if kind == "confirmation":
            arriving.take_payment(account=account, body=request.body, address=client_address(request))
            return JsonResponse({"ResultCode": 0, "ResultDesc": "Success"})
        payment = arriving.read_payment(account=account, body=request.body)
    except (UnreadableNotice, DomainError) as error:
        return JsonResponse({"error": str(error)}, status=400)
    if not paybill.is_expected(account=account, payment=payment):
        return JsonResponse({"ResultCode": WRONG_ACCOUNT, "ResultDesc": "Rejected"})
    return JsonResponse({"ResultCode": "0", "ResultDesc": "Accepted"})


def _refuse(request: HttpRequest) -> HttpResponse | None:
    if request.method != "POST":
        return JsonResponse({"error": "POST only"}, status=405, headers={"Allow": "POST"})
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or int(length) > MAX_BYTES:
        return JsonResponse({"error": "body too large"}, status=413)
    return None
