"""Templates: saved as new versions, never overwritten, and deleted whole."""

from collections.abc import Mapping

from django.db import IntegrityError, transaction

from accounts.models import Client, User
from crm.common.errors import DomainError, InvalidInput, NotFound
from messaging import queries
from messaging.models import Template, TemplateLanguage, TemplateVersion
from messaging.services.accept import check_text


def get_template(*, client: Client, template_id: int) -> Template:
    """Raises: NotFound, for another client's template as for none."""
    template = Template.objects.for_client(client).filter(pk=template_id).first()
    if template is None:
        raise NotFound("There is no such template.")
    return template


@transaction.atomic
def save_template(
    *, client: Client, by: User | None, name: str, texts: Mapping[str, str], template_id: int | None = None
) -> Template:
    """Make a template, or give one a new name and new texts. texts: by language code; an empty one ends a language.

    A text that did not change makes no version. Raises: InvalidInput (name, text_<language>, texts), NotFound.
    """
    errors: dict[str, list[str]] = {}
    name = " ".join(name.replace("\x00", "").split())
    if not 1 <= len(name) <= 80:
        errors["name"] = ["Give the template a name of at most 80 characters."]
    clean: dict[str, str] = {}
    for language in TemplateLanguage.values:
        try:
            typed = texts.get(language, "")
            clean[language] = check_text(typed) if typed.strip() else ""
        except DomainError as error:
            errors[f"text_{language}"] = [str(error)]
    if not errors and not any(clean.values()):
        errors["texts"] = ["Write the text in at least one language."]
    if errors:
        raise InvalidInput(errors)
    template = get_template(client=client, template_id=template_id) if template_id else Template(client=client)
    template.name = name
    try:
        with transaction.atomic():
            template.save()
    except IntegrityError:
        raise InvalidInput({"name": ["There is a template of this name already."]}) from None
    present = queries.template_texts(client, [template.pk]).get(template.pk, {})
    TemplateVersion.objects.bulk_create(
        TemplateVersion(client=client, template=template, language=language, text=text, by=by)
        for language, text in clean.items()
        if text != present.get(language, "")
    )
    return template


@transaction.atomic
def delete_template(*, client: Client, template_id: int) -> None:
    """Delete a template and its versions; messages keep what was sent. Raises: NotFound."""
    get_template(client=client, template_id=template_id).delete()
