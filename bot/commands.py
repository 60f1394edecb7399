"""The commands that only say something."""

from __future__ import annotations

from telegram import BotCommand, Message, MessageEntity

from bot.addresses import finds_in
from bot.identity import Visit
from bot.languages import LANGUAGES
from bot.messages import Messages
from bot.outbox import Outbox
from bot.texts import Texts
from bot.wording import escaped
from service.chat import Place
from service.errors import NotInvited
from service.members import Members, Person

OWNER_PREFIX = "own_"
KNOWN = frozenset(
    {
        "cancel",
        "cookies",
        "dl",
        "forget",
        "help",
        "history",
        "link",
        "links",
        "privacy",
        "sessions",
        "settings",
        "start",
        "stats",
        "status",
        "users",
        "web",
    }
)


class Commands:
    """`/start`, `/help`, `/privacy`, `/dl` and whatever is no command of ours."""

    def __init__(self, *, outbox: Outbox, messages: Messages, members: Members) -> None:
        self._outbox, self._messages, self._members = outbox, messages, members

    async def start(self, message: Message, visit: Visit) -> None:
        del message
        name = visit.member.user.first_name
        await self._outbox.say(visit.place, visit.texts.welcome.format(name=f" {escaped(name, 40)}" if name else ""))

    async def help(self, message: Message, visit: Visit) -> None:
        del message
        await self._outbox.say(visit.place, visit.texts.help)

    async def privacy(self, message: Message, visit: Visit) -> None:
        del message
        await self._outbox.say(visit.place, visit.texts.privacy)

    async def download(self, message: Message, visit: Visit) -> None:
        """`/dl LINK`, for groups above all; without one, the link of the message that it answers."""
        finds = finds_in(message)
        if not finds and message.reply_to_message is not None:
            finds = finds_in(message.reply_to_message)
        if not await self._messages.take(message, visit, finds):
            await self._outbox.say(visit.place, visit.texts.no_link, reply_to=message.message_id)

    async def unknown(self, message: Message, visit: Visit) -> None:
        await self._outbox.say(visit.place, visit.texts.unknown_command, reply_to=message.message_id)

    async def own(self, person: Person, place: Place, token: str, texts: Texts) -> None:
        """Whoever opens the one-time link first owns the bot."""
        try:
            await self._members.own(person, token)
        except NotInvited:
            await self._outbox.say(place, texts.owner_link_used)
            return
        await self._outbox.say(place, texts.you_own_it)


def command_in(message: Message, bot_name: str | None) -> tuple[str | None, str]:
    """The command, and what stands behind it. None for no command, an empty one for another bot's."""
    first = message.entities[0] if message.entities else None
    if first is None or first.type != MessageEntity.BOT_COMMAND or first.offset != 0 or message.forward_origin is not None:
        return None, ""
    assert message.text is not None
    name, _, target = message.text[1 : first.length].partition("@")
    if target and bot_name is not None and target.lower() != bot_name.lower():
        return "", ""
    return name.lower(), message.text[first.length :].strip()


def menu(texts: Texts) -> list[BotCommand]:
    """As Telegram shows it."""
    return [
        BotCommand("help", texts.command_help),
        BotCommand("history", texts.command_history),
        BotCommand("status", texts.command_status),
        BotCommand("cancel", texts.command_cancel),
        BotCommand("settings", texts.command_settings),
        BotCommand("sessions", texts.command_sessions),
        BotCommand("link", texts.command_link),
        BotCommand("links", texts.command_links),
        BotCommand("cookies", texts.command_cookies),
        BotCommand("web", texts.command_web),
        BotCommand("privacy", texts.command_privacy),
        BotCommand("forget", texts.command_forget),
    ]


def menus() -> list[tuple[str | None, list[BotCommand]]]:
    """A menu for everybody in English, and one for each further language."""
    return [(None if language == "en" else language, menu(texts)) for language, texts in LANGUAGES.items()]
