"""Replies that mean "no more messages" or "messages again", in English, French and Swahili.

Only a reply that is nothing but such a word counts: "I cannot stop by today" is a message to a person.
"""

import re
import unicodedata

STOP = frozenset(
    "stop|stopall|stop all|stopp|unsubscribe|unsub|cancel|end|quit|optout|opt out|remove|remove me|no more|stop sms"
    "|arret|arrete|arretez|arreter|desabonner|desabonnement|desinscrire|desinscription|me desabonner"
    "|acha|acheni|komesha|sitisha|jiondoe|jitoe|nitoe|niondoe|ondoa|ondoeni|simamisha|sitaki".split("|")
)
START = frozenset(
    "start|unstop|subscribe|resume|optin|opt in|yes start"
    "|reabonner|reprendre|reprise|abonner|me reabonner"
    "|anza|anzisha|rudisha|jiunge|jisajili|nirudishe|endelea".split("|")
)
_PADDING = re.compile(r"[\W_]+")
_POLITE = ("please ", "pls ", "svp ", "s il vous plait ", "tafadhali ")
_POLITE_AFTER = (" please", " pls", " svp", " s il vous plait", " tafadhali", " merci", " thanks", " asante")


def opt_out_word(text: str) -> str:
    """Returns "stop", "start", or "" for any other text.

    Letter case, accents, punctuation, emoji and a word of courtesy around it are ignored.
    """
    if len(text) > 60:
        return ""
    letters = unicodedata.normalize("NFKD", text.replace("\u2019", "'"))
    bare = "".join(char for char in letters if not unicodedata.combining(char)).casefold()
    plain = " ".join(_PADDING.sub(" ", bare).split())
    for polite in _POLITE:
        plain = plain.removeprefix(polite)
    for polite in _POLITE_AFTER:
        plain = plain.removesuffix(polite)
    if plain in STOP:
        return "stop"
    return "start" if plain in START else ""
