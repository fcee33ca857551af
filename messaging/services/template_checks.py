"""What WhatsApp refuses templates for, looked at before one is handed in.

Spec: Meta's guidelines of template review and its common reasons of rejection, read November 2026.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from crm.common.phones import InvalidPhone, read_phone
from messaging.models import TemplateCategory
from messaging.providers.whatsapp_words import VARIABLE, TemplateWords

LANGUAGES: Final = {
    "en": "English",
    "en_GB": "English (UK)",
    "en_US": "English (US)",
    "fr": "Français",
    "sw": "Kiswahili",
}
NAME: Final = re.compile(r"[a-z0-9_]{1,60}")
LONGEST_BODY: Final = 1024
LONGEST_LINE: Final = 60
LONGEST_BUTTON: Final = 25
MOST_REPLIES: Final = 3
SHORTENERS: Final = frozenset(
    "bit.ly tinyurl.com goo.gl t.co ow.ly is.gd buff.ly cutt.ly rebrand.ly shorturl.at tiny.cc rb.gy t.ly wa.me s.id "
    "bl.ink lnkd.in v.gd".split()
)
_HOST: Final = re.compile(r"(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?=[/\s.,!?)]|$)", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W\d_]+")
# The commonest words of each language that the other two do not have.
_TELLING: Final = {
    "en": frozenset("the your you is are and for with has have been will this our of we please thank".split()),
    "fr": frozenset("le la les votre vous est et pour avec des une un nous merci de du au ce cette sur".split()),
    "sw": frozenset("ya wa na kwa yako wako ni za la katika tafadhali asante habari sasa hii huu cha kama".split()),
}
_SELLING: Final = frozenset(
    "offer offers sale discount promo promotion free win deal deals buy voucher bonus "
    "offre offres soldes remise promotion promo gratuit gratuite cadeau réduction achetez "
    "ofa punguzo bure zawadi promosheni nunua bonasi shinda".split()
)


@dataclass(frozen=True, slots=True)
class Problem:
    """field: of the form. A doubt is what a person may know better: it can be handed in all the same."""

    field: str
    words: str
    is_doubt: bool = False


def check_template(
    *, name: str, language: str, category: str, words: TemplateWords, country: str = ""
) -> list[Problem]:
    """Everything that speaks against handing a template in, the surest first."""
    found: list[Problem] = []
    if not NAME.fullmatch(name):
        found.append(Problem("name", _("Use small letters, digits and _ for the name, such as fees_due.")))
    if language not in LANGUAGES:
        found.append(Problem("language", _("Choose the language.")))
    if category not in (TemplateCategory.UTILITY, TemplateCategory.MARKETING):
        found.append(Problem("category", _("Choose utility or marketing.")))
    found += _of_body(words) + _of_lines(words) + _of_buttons(words, country) + _of_links(words)
    return found + _doubts(language, category, words)


def _of_body(words: TemplateWords) -> list[Problem]:
    body = words.body.strip()
    if not body:
        return [Problem("body", _("Write the text."))]
    found = []
    if len(body) > LONGEST_BODY:
        found.append(Problem("body", _("The text has at most 1,024 characters.")))
    if re.search(r"\n{3,}|\t| {5,}", body):
        found.append(Problem("body", _("WhatsApp takes no tabs, no two empty lines and no five blanks in a row.")))
    names = words.variables
    if not names:
        return found + _stray_braces(body)
    if not all(name.isascii() and name.isdigit() for name in names) or [int(name) for name in names] != list(
        range(1, len(names) + 1)
    ):
        found.append(Problem("body", _("Number the variables {{1}}, {{2}} and on, without a gap.")))
    elif [int(name) for name in dict.fromkeys(VARIABLE.findall(body))] != list(range(1, len(names) + 1)):
        found.append(Problem("body", _("The variables must come in their order: {{1}} first, then {{2}}.")))
    if VARIABLE.match(body):
        found.append(Problem("body", _("A variable cannot be the first thing: put a word before it.")))
    if re.search(r"\}\}$", body):
        found.append(Problem("body", _("A variable cannot be the last thing: put a word or a full stop after it.")))
    if re.search(r"\}\}\s*\{\{", body):
        found.append(Problem("body", _("Put a word between two variables.")))
    if len(_WORD.findall(VARIABLE.sub(" ", body))) < 2 * len(names) + 1:
        found.append(Problem("body", _("There are too many variables for so few words.")))
    missing = [name for name in names if not words.samples.get(name, "").strip()]
    if missing:
        listed = ", ".join(f"{{{{{name}}}}}" for name in missing)
        found.append(
            Problem("samples", _("Give a sample value for %(variables)s: WhatsApp reads it.") % {"variables": listed})
        )
    return found + _stray_braces(body)


def _stray_braces(body: str) -> list[Problem]:
    if "{{" in VARIABLE.sub("", body) or "}}" in VARIABLE.sub("", body):
        return [Problem("body", _("A variable is written as two braces around a number: {{1}}."))]
    return []


def _of_lines(words: TemplateWords) -> list[Problem]:
    found = []
    for name, text in (("header", words.header), ("footer", words.footer)):
        if len(text) > LONGEST_LINE:
            found.append(Problem(name, _("At most 60 characters.")))
        if VARIABLE.search(text) or "{{" in text:
            found.append(Problem(name, _("Only the text has variables.")))
        if "\n" in text:
            found.append(Problem(name, _("This is one line.")))
    if re.search(r"[*_~`]", words.header):
        found.append(Problem("header", _("The heading has no signs for bold or italics.")))
    return found


def _of_buttons(words: TemplateWords, country: str) -> list[Problem]:
    found = []
    replies = [button for button in words.buttons if button["kind"] == "reply"]
    if len(replies) > MOST_REPLIES:
        found.append(Problem("replies", _("At most three answers to press.")))
    if len({button["text"].casefold() for button in words.buttons}) != len(words.buttons):
        found.append(Problem("replies", _("Every button says something of its own.")))
    for button in words.buttons:
        where = {"reply": "replies", "url": "url", "phone": "phone"}[button["kind"]]
        if not button["text"] or len(button["text"]) > LONGEST_BUTTON:
            found.append(Problem(where, _("A button has a text of at most 25 characters.")))
        if button["kind"] == "url":
            parts = urlsplit(button["value"])
            if parts.scheme != "https" or not parts.hostname or "{{" in button["value"] or len(button["value"]) > 2000:
                found.append(Problem("url", _("Give an https address without variables.")))
        elif button["kind"] == "phone":
            try:
                read_phone(button["value"], country)
            except InvalidPhone as error:
                found.append(Problem("phone", str(error)))
    return found


def _of_links(words: TemplateWords) -> list[Problem]:
    found = []
    for where, text in (("body", words.body), *(("url", button["value"]) for button in words.buttons)):
        for host in _HOST.findall(text):
            if host.casefold().removeprefix("www.") in SHORTENERS:
                sentence = _("%(host)s hides where its links lead, and WhatsApp refuses such. Write the whole address.")
                found.append(Problem(where, sentence % {"host": host}))
    return found


def _doubts(language: str, category: str, words: TemplateWords) -> list[Problem]:
    found = []
    plain = VARIABLE.sub(" ", f"{words.header} {words.body} {words.footer}").casefold()
    read = _WORD.findall(plain)
    counts = {code: sum(word in telling for word in read) for code, telling in _TELLING.items()}
    likely = max(counts, key=lambda code: counts[code])
    own = counts.get(language[:2], 0)
    if counts[likely] >= 2 and counts[likely] > 2 * own:
        facts = {"found": LANGUAGES[likely], "chosen": LANGUAGES.get(language, language)}
        sentence = _(
            "This reads like %(found)s, not %(chosen)s. WhatsApp refuses a text in another language than it says."
        )
        found.append(Problem("language", sentence % facts, is_doubt=True))
    if category == TemplateCategory.UTILITY and (selling := sorted({word for word in read if word in _SELLING})):
        sentence = _(
            "Words such as “%(words)s” make this marketing to WhatsApp: it would change the category, and the price."
        )
        found.append(Problem("category", sentence % {"words": ", ".join(selling[:3])}, is_doubt=True))
    return found
