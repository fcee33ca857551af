"""WhatsApp templates of a client: written, looked through, handed in for approval, changed and taken away.

What becomes of them there is services/template_news.py. Requests are made outside of any transaction (M8).
"""

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.errors import InvalidInput, NotFound, WrongState
from crm.common.sql import database_now
from crm.common.text_units import clean_text
from messaging.errors import TemplateNotTaken, TemplateUnclear
from messaging.models import (
    Channel,
    ProviderAccount,
    TemplateState,
    WhatsAppTemplate,
    WhatsAppTemplateEvent,
)
from messaging.providers import whatsapp_templates as wire
from messaging.providers.base import UnusableCredentials
from messaging.providers.whatsapp_words import TemplateWords, components_of
from messaging.queries import approved_senders
from messaging.services.provider_access import address_of, credentials_of
from messaging.services.routing import RouteTable
from messaging.services.template_checks import LANGUAGES, NAME, Problem, check_template
from messaging.services.template_news import UNSENT, ask, note

ADAPTER = "whatsapp"
# Which states can be handed in again with other words; Meta reviews them anew.
CHANGEABLE = (TemplateState.APPROVED, TemplateState.PAUSED, TemplateState.REJECTED)


def get_template(*, client: Client, template_id: int) -> WhatsAppTemplate:
    """Raises: NotFound, for another client's template as for none."""
    found = WhatsAppTemplate.objects.for_client(client).filter(pk=template_id).first()
    if found is None:
        raise NotFound("There is no such template.")
    return found


def words_of(template: WhatsAppTemplate) -> TemplateWords:
    return TemplateWords(
        body=template.body,
        header=template.header,
        footer=template.footer,
        buttons=template.buttons,
        samples=template.samples,
        needs=template.needs,
    )


def clean_words(words: TemplateWords) -> TemplateWords:
    """Without blanks at the ends, and without samples of variables that the text does not have."""
    body = clean_text(words.body.replace("\r\n", "\n")).strip()
    buttons = [
        {"kind": button["kind"], "text": " ".join(button["text"].split()), "value": button.get("value", "").strip()}
        for button in words.buttons
        if button["text"].strip() or button.get("value", "").strip()
    ]
    kept = TemplateWords(body=body)
    samples = {name: " ".join(words.samples.get(name, "").split())[:200] for name in kept.variables}
    return TemplateWords(
        body=body,
        header=clean_text(words.header).strip(),
        footer=clean_text(words.footer).strip(),
        buttons=buttons,
        samples={name: sample for name, sample in samples.items() if sample},
    )


@needs("campaigns.write")
@transaction.atomic
def save_draft(
    *,
    client: Client,
    by: User | None,
    name: str,
    language: str,
    category: str,
    words: TemplateWords,
    template_id: int | None = None,
) -> WhatsAppTemplate:
    """Keep a template that was not handed in yet, as far as it is written.

    Raises: InvalidInput (name, language, body: those without which it has no place), NotFound, WrongState.
    """
    words = clean_words(words)
    errors: dict[str, list[str]] = {}
    for problem in check_template(name=name, language=language, category=category, words=words):
        too_long = problem.field in ("body", "header", "footer") and len(getattr(words, problem.field)) > 4096
        if (problem.field in ("name", "language", "category") and not problem.is_doubt) or too_long or not words.body:
            errors.setdefault(problem.field, []).append(problem.words)
    for field in ("header", "footer"):
        if len(getattr(words, field)) > 60:
            errors.setdefault(field, [_("At most 60 characters.")])
    if errors:
        raise InvalidInput(errors)
    template = get_template(client=client, template_id=template_id) if template_id else WhatsAppTemplate(client=client)
    if template.state != TemplateState.DRAFT:
        raise WrongState(_("This template was handed in already: change it and hand it in again."))
    template.name, template.language, template.category = name, language, category
    template.created_by = template.created_by or by
    _put(template, words)
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError:
        raise InvalidInput({"name": [_("There is a template of this name in this language already.")]}) from None
    return template


def _put(template: WhatsAppTemplate, words: TemplateWords) -> None:
    template.header, template.body, template.footer = words.header, words.body, words.footer
    template.buttons, template.samples, template.needs = list(words.buttons), dict(words.samples), words.needs


@needs("campaigns.write")
@transaction.atomic
def duplicate_template(*, client: Client, template_id: int, by: User | None, language: str = "") -> WhatsAppTemplate:
    """A new draft with the same words: in another language under the same name, else under a new name.

    Raises: NotFound, InvalidInput (language).
    """
    old = get_template(client=client, template_id=template_id)
    taken = set(WhatsAppTemplate.objects.for_client(client).values_list("name", "language"))
    name = old.name
    if language:
        if language not in LANGUAGES or (name, language) in taken:
            raise InvalidInput({"language": [_("Choose a language that this template does not have yet.")]})
    else:
        language = old.language if old.language in LANGUAGES else "en"
        stem = name[:56] if NAME.fullmatch(name[:56]) else "template"
        name = next(f"{stem}_{n}" for n in range(2, 10_000) if (f"{stem}_{n}", language) not in taken)
    fresh = WhatsAppTemplate(client=client, name=name, language=language, created_by=by)
    fresh.category = old.category if old.category != "authentication" else "utility"
    _put(fresh, clean_words(words_of(old)))
    fresh.save()
    return fresh


def account_of(client: Client) -> ProviderAccount | None:
    """The WhatsApp account by which the client writes: that of its numbers' routes; None where there is none."""
    senders = [sender.name for sender in approved_senders(client, Channel.WHATSAPP)]
    table = RouteTable(Channel.WHATSAPP)
    able = set(
        ProviderAccount.objects.filter(adapter=ADAPTER, is_active=True, routes__channel=Channel.WHATSAPP).values_list(
            "pk", flat=True
        )
    )
    for sender in senders:
        roads = [road for road in table.roads if road.sender in ("", sender) and road.account_id in able]
        if roads:
            best = min(
                roads, key=lambda road: (road.sender == "", road.country not in ("", client.country), road.preference)
            )
            return ProviderAccount.objects.get(pk=best.account_id)
    return None


def problems_with(template: WhatsAppTemplate, words: TemplateWords | None = None) -> list[Problem]:
    """What speaks against handing it in, with these words instead of its own."""
    return check_template(
        name=template.name,
        language=template.language,
        category=template.category,
        words=words or words_of(template),
        country=template.client.country,
    )


@needs("campaigns.write")
def submit_template(
    *,
    client: Client,
    template_id: int,
    by: User | None,
    words: TemplateWords | None = None,
    category: str = "",
    despite_doubts: bool = False,
) -> WhatsAppTemplate:
    """Hand a template in for approval: a draft, or one that WhatsApp knows, with new words.

    Raises, and then its state is as it was: NotFound, WrongState, InvalidInput (by field of the form; `doubts` where
    only those speak against it), TemplateNotTaken in WhatsApp's words. TemplateUnclear: no clear answer came; it counts
    as in review until WhatsApp is asked.
    """
    template = get_template(client=client, template_id=template_id)
    known = bool(template.provider_id)
    if template.state not in (CHANGEABLE if known else (TemplateState.DRAFT,)):
        raise WrongState(_("This template cannot be handed in now."))
    if client.simulation:
        raise WrongState(_("Simulation is on: WhatsApp reviews real templates only. Turn simulation off first."))
    said = clean_words(words) if words else words_of(template)
    if known and not words:
        raise InvalidInput({"body": [_("Change the words first: WhatsApp has these already.")]})
    changed = category if category and template.state != TemplateState.APPROVED else template.category
    _refuse_problems(template, said, changed, despite_doubts)
    account = template.account if known else account_of(client)
    if account is None:
        raise TemplateNotTaken(_("No WhatsApp number is set up for you. Ask your account manager."))
    if not known:  # written down first: where the answer is lost, the name tells later what became of it
        moved = WhatsAppTemplate.objects.for_client(client).filter(pk=template.pk, state=TemplateState.DRAFT)
        if not moved.update(state=TemplateState.REVIEW, account=account, submitted_at=Now(), reason=""):
            raise WrongState(_("This template was handed in a moment ago."))
    made = _hand_in(account, template, said, changed if changed != template.category or not known else "")
    if made.problem and not made.unclear:
        if not known:
            _back_to_draft(template, made.problem)
        raise TemplateNotTaken(made.problem)
    if made.unclear and known:
        raise TemplateUnclear(made.problem)
    _take(template, account, said, changed, made, by)
    if made.unclear:
        raise TemplateUnclear(made.problem)
    return get_template(client=client, template_id=template_id)


def _refuse_problems(template: WhatsAppTemplate, words: TemplateWords, category: str, despite_doubts: bool) -> None:
    template.category = category
    found = problems_with(template, words)
    sure = [problem for problem in found if not problem.is_doubt]
    if sure or (found and not despite_doubts):
        errors: dict[str, list[str]] = {}
        for problem in sure or found:
            errors.setdefault(problem.field if sure else "doubts", []).append(problem.words)
        raise InvalidInput(errors)


def _hand_in(account: ProviderAccount, template: WhatsAppTemplate, words: TemplateWords, category: str) -> wire.Made:
    credentials, address = credentials_of(account), address_of(account)
    try:
        if template.provider_id:
            request = wire.change_request(
                credentials,
                address,
                provider_id=template.provider_id,
                category=category,
                components=components_of(words),
            )
        else:
            request = wire.create_request(
                credentials, address, name=template.name, language=template.language, category=category,
                components=components_of(words),
            )  # fmt: skip
    except UnusableCredentials as error:
        return wire.Made(problem=str(error))
    answer, problem = ask(request)
    if answer is None:
        return wire.Made(problem=problem, unclear=problem != str(UNSENT))
    return wire.changed_by(answer) if template.provider_id else wire.created_by(answer)


def _back_to_draft(template: WhatsAppTemplate, problem: str) -> None:
    WhatsAppTemplate.objects.for_client(template.client_id).filter(pk=template.pk, provider_id="").update(
        state=TemplateState.DRAFT, submitted_at=None, reason=problem[:300]
    )


@transaction.atomic
def _take(
    template: WhatsAppTemplate,
    account: ProviderAccount,
    words: TemplateWords,
    category: str,
    made: wire.Made,
    by: User | None,
) -> None:
    """Write down what WhatsApp took, and the first it said of it. template: as it was before."""
    row = WhatsAppTemplate.objects.for_client(template.client_id).get(pk=template.pk)
    _put(row, words)
    row.state, row.account, row.category, row.reason, row.paused_until = (
        TemplateState.REVIEW,
        account,
        category,
        "",
        None,
    )
    row.provider_id = made.provider_id or row.provider_id
    row.submitted_at = database_now()
    row.save()
    WhatsAppTemplateEvent.objects.create(
        client_id=row.client_id,
        template=row,
        kind="submitted",
        before=template.state,
        after=row.state,
        by=by,
        at=database_now(),
    )
    note(row, state=made.status, category=made.category)
    ProviderAccount.objects.filter(pk=account.pk).update(templates_due_at=None)  # it is looked at with the next sweep
    facts = {"name": row.name, "language": row.language, "category": row.category}
    record_audit(client=row.client_id, action="template.submitted", target=f"template:{row.name}", after=facts)


@needs("campaigns.write")
def remove_template(*, client: Client, template_id: int, by: User | None) -> None:
    """Take a template away, at WhatsApp first where it has it. Raises: NotFound, TemplateNotTaken (it stays)."""
    template = get_template(client=client, template_id=template_id)
    if template.provider_id and template.account and not client.simulation:
        request = wire.remove_request(
            credentials_of(template.account),
            address_of(template.account),
            name=template.name,
            provider_id=template.provider_id,
        )
        answer, problem = ask(request)
        if answer is not None:
            problem = "" if answer.status == 404 else wire.removed_by(answer)
        if problem:
            raise TemplateNotTaken(problem)
    with transaction.atomic():
        WhatsAppTemplate.objects.for_client(client).filter(pk=template.pk).delete()
        record_audit(
            client=client, action="template.removed", target=f"template:{template.name}",
            before={"language": template.language, "state": template.state},
        )  # fmt: skip
