"""What a person chooses for themselves, in whichever organisation they act."""

from accounts.models import User


def choose_language(*, user: User, language: str) -> None:
    """Speak `language`, one of settings.LANGUAGES, to this person from now on: on pages and in mails."""
    if user.language != language:
        user.language = language
        user.save(update_fields=["language"])
