"""Back office: what the daily comparison of the books found."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from crm.common.look_only import LookOnlyAdmin
from wallet.models import ReconciliationRun
from wallet.reconciliation import CHECKS


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(LookOnlyAdmin):
    list_display = ("started_at", "finished_at", "differences")
    fields = ("started_at", "finished_at", "differences", "found")
    readonly_fields = ("found",)

    def has_view_permission(self, request: HttpRequest, obj: ReconciliationRun | None = None) -> bool:
        return request.user.has_perm("wallet.view_reconciliationrun")

    @admin.display(description="What differs, and what to do")
    def found(self, run: ReconciliationRun) -> SafeString:
        advice = {check.name: check.advice for check in CHECKS}
        parts = [
            format_html(
                "<p><strong>{}</strong>: {}</p><ul>{}</ul>",
                name,
                advice.get(name, "") if texts else "no difference",
                format_html_join("", "<li>{}</li>", ((text,) for text in texts)),
            )
            for name, texts in run.results.items()
        ]
        return format_html_join("", "{}", ((part,) for part in parts))
