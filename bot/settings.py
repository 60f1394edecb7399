"""`/settings`: somebody's own defaults."""

from __future__ import annotations

from dataclasses import replace

from telegram import CallbackQuery, Message

from bot.cards import View
from bot.identity import Visit, texts_for
from bot.keys import Key, button, keyboard, rows
from bot.languages import LANGUAGES
from bot.outbox import MessageGone, Outbox
from bot.texts import Texts
from bot.wording import selection_name
from service.chat import Member, Preferences
from service.errors import CardGone
from service.members import Members
from service.selection import MediaType, Selection

KIND = "settings"
CHOICES = ("video:mp4:best", "video:mp4:1080", "video:mp4:720", "video:mp4:480", "audio:mp3:best", "audio:m4a:best")
AUTO = "auto"


class SettingsPage:
    """One message; each button changes one thing and shows the result in place."""

    def __init__(self, *, members: Members, outbox: Outbox) -> None:
        self._members, self._outbox = members, outbox

    async def show(self, message: Message, visit: Visit) -> None:
        del message
        view = _view(visit.member)
        await self._outbox.say(visit.place, view.text, keyboard=view.keyboard)

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> str | None:
        member = await self._members.prefer(visit.member, _changed(visit.member.preferences, key))
        view = _view(member)
        if query.message is not None:
            try:
                await self._outbox.edit(visit.place, query.message.message_id, view.text, keyboard=view.keyboard, is_caption=False)
            except MessageGone:
                raise CardGone from None
        return texts_for(member).kept


def _changed(preferences: Preferences, key: Key) -> Preferences:
    match key.id:
        case "choice" if key.argument in CHOICES:
            selection = Selection.from_key(key.argument)
            return replace(preferences, selection=None if key.argument == CHOICES[0] else selection)
        case "start":
            return replace(preferences, starts_by_itself=key.argument == "on")
        case "language" if key.argument in {AUTO, *LANGUAGES}:
            return replace(preferences, language=None if key.argument == AUTO else key.argument)
        case _:
            raise CardGone


def _view(member: Member) -> View:
    texts, preferences = texts_for(member), member.preferences
    chosen = preferences.selection.key if preferences.selection else CHOICES[0]
    language = texts.settings_language_auto if preferences.language is None else texts.language_name
    lines = [
        texts.settings_title,
        "",
        texts.settings_default.format(choice=_name(chosen, texts)),
        texts.settings_by_itself.format(state=texts.on if preferences.starts_by_itself else texts.off),
        texts.settings_language.format(language=language),
    ]
    choices = [button(_marked(_name(key, texts), is_on=key == chosen), Key(KIND, "choice", "", key)) for key in CHOICES]
    other = "off" if preferences.starts_by_itself else "on"
    flip = button(
        texts.settings_by_itself.format(
            state=f"{_on(texts, preferences.starts_by_itself)} → {_on(texts, not preferences.starts_by_itself)}"
        ),
        Key(KIND, "start", "", other),
    )
    languages = [
        button(_marked(one.language_name, is_on=one.language == preferences.language), Key(KIND, "language", "", one.language))
        for one in LANGUAGES.values()
    ]
    auto = button(_marked(texts.settings_language_auto, is_on=preferences.language is None), Key(KIND, "language", "", AUTO))
    return View("\n".join(lines), keyboard(*rows(choices, 3), [flip], [auto, *languages]))


def _on(texts: Texts, is_on: bool) -> str:  # noqa: FBT001 - a word for a truth value
    return texts.on if is_on else texts.off


def _marked(label: str, *, is_on: bool) -> str:
    return f"✓ {label}" if is_on else label


def _name(key: str, texts: Texts) -> str:
    selection = Selection.from_key(key)
    if selection == Selection.of(MediaType.VIDEO):
        return f"🎬 {texts.settings_best}"
    return selection_name(selection)
