"""Which language somebody is spoken to in."""

from __future__ import annotations

from bot.texts import ENGLISH, Texts
from bot.texts_german import GERMAN

LANGUAGES: dict[str, Texts] = {texts.language: texts for texts in (ENGLISH, GERMAN)}


def for_language(tag: str | None) -> Texts:
    """By an IETF tag as Telegram gives it (`de`, `pt-br`); English where there is nothing better."""
    return LANGUAGES.get((tag or "").partition("-")[0].lower(), ENGLISH)
