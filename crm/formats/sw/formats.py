"""As in English; Django brings none for Kiswahili. Never the spoken clock, which is shifted by six hours."""

from crm.formats.en.formats import *  # noqa: F403
