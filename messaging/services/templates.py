"""Templates: saved as new versions, never overwritten, and deleted whole."""

from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from crm.common.errors import DomainError, InvalidInput, NotFound
from messaging import queries
from messaging.models import Channel, Template, TemplateLanguage, TemplateVersion
from messaging.services.accept import check_text
from messaging.services.mails import check_mail


def get_template(*, client: Client, template_id: int) -> Template:
    """Raises: NotFound, for another client's template as for none."""
    template = Template.objects.for_client(client).filter(pk=template_id).first()
    if template is None:
        raise NotFound(_("There is no such template."))
    return template


@needs("campaigns.write")
@transaction.atomic
def save_template(
    *,
    client: Client,
    by: User | None,
    name: str,
    texts: Mapping[str, str],
    contents: Mapping[str, Mapping[str, str]] | None = None,
    template_id: int | None = None,
    channel: str = Channel.SMS,
) -> Template:
    """Make a template, or give one a new name and new texts. texts: by language code; an empty one ends a language.
    channel: of a new one. contents: of a mail {subject, html} by language code.

    A text that did not change makes no version. Raises: InvalidInput (name, text_<language>, texts), NotFound.
    """
    errors: dict[str, list[str]] = {}
    name = " ".join(name.replace("\x00", "").split())
    if not 1 <= len(name) <= 80:
        errors["name"] = [_("Give the template a name of at most 80 characters.")]
    template = get_template(client=client, template_id=template_id) if template_id else None
    channel = template.channel if template else channel
    clean: dict[str, dict[str, str]] = {}
    for language in TemplateLanguage.values:
        try:
            parts = (contents or {}).get(language, {})
            clean[language] = _read(channel, texts.get(language, ""), parts)
        except DomainError as error:
            errors[f"{error.facts.get('field', 'text')}_{language}"] = [str(error)]
    if not errors and not any(any(parts.values()) for parts in clean.values()):
        errors["texts"] = [_("Write the text in at least one language.")]
    if errors:
        raise InvalidInput(errors)
    template = template or Template(client=client, channel=channel)
    template.name = name
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError:
        raise InvalidInput({"name": [_("There is a template of this name already.")]}) from None
    present = queries.template_words(client, [template.pk]).get(template.pk, {})
    TemplateVersion.objects.bulk_create(
        TemplateVersion(
            client=client,
            template=template,
            language=language,
            text=parts["text"],
            content={name: words for name, words in parts.items() if name != "text" and words},
            by=by,
        )
        for language, parts in clean.items()
        if _filled(parts) != _filled(present.get(language, {}))
    )
    return template


def _filled(parts: Mapping[str, str]) -> dict[str, str]:
    return {name: words for name, words in parts.items() if words}


def _read(channel: str, text: str, parts: Mapping[str, str]) -> dict[str, str]:
    """One language of a template as it is kept. Raises: what check_text and check_mail raise."""
    if channel != Channel.EMAIL:
        return {"text": check_text(text) if text.strip() else ""}
    mail = check_mail(subject=parts.get("subject", ""), text=text, html=parts.get("html", ""), is_draft=True)
    return {"text": mail.text, "subject": mail.subject, "html": mail.html}


@needs("campaigns.write")
@transaction.atomic
def delete_template(*, client: Client, template_id: int) -> None:
    """Delete a template and its versions; messages keep what was sent. Raises: NotFound."""
    get_template(client=client, template_id=template_id).delete()
