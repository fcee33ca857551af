"""Pages of the wallet, mounted at the root by crm/urls.py."""

from django.urls import path

from wallet.views import ledger, papers, topups

app_name = "wallet"
urlpatterns = [
    path("app/wallet", ledger.ledger, name="ledger"),
    path("app/wallet/threshold", ledger.threshold, name="threshold"),
    path("app/wallet/threshold/morning", ledger.morning, name="morning"),
    path("app/wallet/topup", topups.topup, name="topup"),
    path("app/wallet/statement", papers.statement, name="statement"),
    path("app/wallet/statement.csv", papers.statement_csv, name="statement_csv"),
    path("app/wallet/statement.pdf", papers.statement_pdf, name="statement_pdf"),
    path("app/wallet/orders", topups.topup_list, name="topup_list"),
    path("app/wallet/orders/<int:pk>.pdf", papers.order_pdf, name="order_pdf"),
    path("app/wallet/bills", papers.bills, name="bills"),
    path("app/wallet/bills/<int:pk>.pdf", papers.bill_pdf, name="bill_pdf"),
    path("app/wallet/topups", topups.old_list),
    path("app/wallet/topups/<int:pk>/receipt.pdf", papers.receipt_pdf, name="receipt_pdf"),
    path("app/wallet/topups/claim", topups.claim, name="claim"),
    path("app/wallet/topups/<int:pk>", topups.topup_detail, name="topup_detail"),
    path("app/wallet/topups/<int:pk>/check", topups.check, name="topup_check"),
]
