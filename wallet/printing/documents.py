"""The papers of the wallet: a month's statement, and of each top-up the order, the bill and the receipt."""

from typing import Any

from django.utils.dateformat import format as format_date
from django.utils.translation import gettext as _

from accounts.models import Client
from crm.common.figures import show_money
from crm.common.phones import mask_phone
from wallet.models import TopUp, TopUpState
from wallet.payments.registry import get_method
from wallet.printing.paper import facts, gap, listing, make_pdf, moment, paragraph
from wallet.statements import Statement
from wallet.topups.queries import Paybill


def _client_facts(client: Client) -> list[tuple[str, str]]:
    rows = [(_("For"), client.name), (_("Account number"), str(client.pk))]
    return [*rows, (_("Email"), client.contact_email)] if client.contact_email else rows


def statement_pdf(statement: Statement) -> bytes:
    """A month on paper: opening balance, movements, closing balance, totals by kind."""
    client, currency = statement.client, statement.client.currency
    begin = (_("Opening balance"), "", "", "", show_money(statement.opening, currency))
    closing = _("Balance so far") if statement.until else _("Closing balance")
    end = (closing, "", "", "", show_money(statement.closing, currency))
    rows: list[tuple[str, ...]] = [begin]
    for line in statement.lines:
        what = f"{line.title}\n{line.code}" if line.code else line.title
        at = format_date(line.at, "j M Y") if line.at else ""
        rows.append((what, line.kind_label, at, f"{line.entries:,}", show_money(line.amount, currency)))
    rows.append(end)
    head = (_("What"), _("Kind"), _("Day"), _("Entries"), _("Amount"))
    totals = [(total.label, f"{total.entries:,}", show_money(total.amount, currency)) for total in statement.totals]
    span = f"{format_date(statement.month, 'j M Y')} – {format_date(statement.last, 'j M Y')}"
    story: list[Any] = [
        facts([*_client_facts(client), (_("Period"), f"{span} ({client.time_zone})")]),
        gap(),
        listing(head, rows, (0.38, 0.14, 0.15, 0.12, 0.21), right=(3, 4), strong=(0, len(rows) - 1)),
        gap(6),
        paragraph(_("Totals by kind"), 11, bold=True),
        gap(2),
        listing((_("Kind"), _("Entries"), _("Amount")), totals, (0.5, 0.2, 0.3), right=(1, 2)),
    ]
    if statement.until:
        text = _("The month is not over: read on %(moment)s.") % {"moment": moment(statement.until, client.time_zone)}
        story += [gap(), paragraph(text, 8, muted=True)]
    title = _("Statement of %(month)s") % {"month": format_date(statement.month, "F Y")}
    return make_pdf(title=title, story=story)


def order_pdf(top_up: TopUp, paybill: Paybill | None) -> bytes:
    """A request to buy, with what is due and how it can be paid by hand."""
    is_paid = top_up.state == TopUpState.COMPLETED
    due = 0 if is_paid else top_up.amount
    story = [*_particulars(top_up), gap(), _sale(top_up), gap()]
    story.append(paragraph(_("Due: %(amount)s") % {"amount": show_money(due, top_up.currency)}, 11, bold=True))
    if not is_paid and paybill:
        words = _("By paybill: business number %(number)s, account number %(account)s, amount %(amount)s.")
        given = {"number": paybill.number, "account": paybill.account_number, "amount": top_up.amount}
        story += [gap(), paragraph(words % given)]
    return make_pdf(title=_("Order %(reference)s") % {"reference": top_up.transaction_id}, story=story)


def bill_pdf(top_up: TopUp) -> bytes:
    """The invoice of a top-up that was paid."""
    paid = show_money(top_up.amount, top_up.currency)
    story = [*_particulars(top_up), gap(), _sale(top_up), gap(), facts(_payment_facts(top_up)), gap()]
    words = _("Paid: %(amount)s. Due: %(due)s.") % {"amount": paid, "due": show_money(0, top_up.currency)}
    story.append(paragraph(words, 11, bold=True))
    return make_pdf(title=_("Bill %(reference)s") % {"reference": top_up.transaction_id}, story=story)


def receipt_pdf(top_up: TopUp) -> bytes:
    """The proof of a payment, with the operator's code."""
    story = [
        paragraph(_("Received: %(amount)s") % {"amount": show_money(top_up.amount, top_up.currency)}, 13, bold=True),
        gap(),
        facts([*_client_facts(top_up.client), *_payment_facts(top_up), (_("Top-up"), top_up.transaction_id)]),
        gap(),
        paragraph(_("The amount was added to the wallet of this account, once."), 8, muted=True),
    ]
    return make_pdf(title=_("Receipt %(code)s") % {"code": top_up.receipt}, story=story)


def _particulars(top_up: TopUp) -> list[Any]:
    client = top_up.client
    rows = [*_client_facts(client), (_("Ordered"), moment(top_up.created_at, client.time_zone))]
    if top_up.started_by:
        rows.append((_("By"), str(top_up.started_by)))
    return [facts(rows)]


def _payment_facts(top_up: TopUp) -> list[tuple[str, str]]:
    method = get_method(top_up.method).label
    rows = [(_("Paid by"), method), (_("%(method)s code") % {"method": method}, top_up.receipt or "")]
    if top_up.completed_at:
        rows.append((_("Paid on"), moment(top_up.completed_at, top_up.client.time_zone)))
    if top_up.phone:
        rows.append((_("From"), mask_phone(top_up.phone)))
    return rows


def _sale(top_up: TopUp) -> Any:
    amount = show_money(top_up.amount, top_up.currency)
    rows = [(_("Credit for messages"), amount), (_("Total"), amount)]
    return listing((_("What"), _("Amount")), rows, (0.7, 0.3), right=(1,), strong=(1,))
