"""Replies that mean "no more messages", "messages again" or "who is this", in English, French and Swahili.

Only a reply that is nothing but such a word counts: "I cannot stop by today" is a message to a person.
"""

import re
import unicodedata

_WORDS: dict[str, dict[str, str]] = {
    "stop": {
        "en": "stop|stopall|stop all|stopp|unsubscribe|unsub|cancel|end|quit|optout|opt out|remove|remove me|no more"
        "|stop sms",
        "fr": "arret|arrete|arretez|arreter|desabonner|desabonnement|desinscrire|desinscription|me desabonner",
        "sw": "acha|acheni|komesha|sitisha|jiondoe|jitoe|nitoe|niondoe|ondoa|ondoeni|simamisha|sitaki",
    },
    "start": {
        "en": "start|unstop|subscribe|resume|optin|opt in|yes start",
        "fr": "reabonner|reprendre|reprise|abonner|me reabonner",
        "sw": "anza|anzisha|rudisha|jiunge|jisajili|nirudishe|endelea",
    },
    "help": {
        "en": "help|help me|info",
        "fr": "aide|aidez moi|aidez",
        "sw": "msaada|nisaidie|nisaidieni|usaidizi|naomba msaada",
    },
}
_MEANINGS = {
    spelling: (word, language)
    for word, languages in _WORDS.items()
    for language, spellings in languages.items()
    for spelling in spellings.split("|")
}
STOP = frozenset(spelling for spelling, (word, _) in _MEANINGS.items() if word == "stop")
START = frozenset(spelling for spelling, (word, _) in _MEANINGS.items() if word == "start")
_PADDING = re.compile(r"[\W_]+")
_POLITE = ("please ", "pls ", "svp ", "s il vous plait ", "tafadhali ")
_POLITE_AFTER = (" please", " pls", " svp", " s il vous plait", " tafadhali", " merci", " thanks", " asante")


def opt_out_word(text: str) -> str:
    """Returns "stop", "start", or "" for any other text."""
    word, _ = reply_word(text)
    return "" if word == "help" else word


def reply_word(text: str) -> tuple[str, str]:
    """What a reply that is nothing but such a word says, "stop", "start" or "help", and in which language it does.

    ("", "") for any other text. Letter case, accents, punctuation, emoji and a word of courtesy around it are ignored.
    """
    if len(text) > 60:
        return "", ""
    letters = unicodedata.normalize("NFKD", text.replace("\u2019", "'"))
    bare = "".join(char for char in letters if not unicodedata.combining(char)).casefold()
    plain = " ".join(_PADDING.sub(" ", bare).split())
    for polite in _POLITE:
        plain = plain.removeprefix(polite)
    for polite in _POLITE_AFTER:
        plain = plain.removesuffix(polite)
    return _MEANINGS.get(plain, ("", ""))
