"""Which page or command answers what: by the command of a message, and by the kind of a button."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from telegram import Message
from telegram.ext import ExtBot

from bot.addresses import finds_in
from bot.attendant import Attendant
from bot.buttons import Buttons, Page
from bot.commands import KNOWN, Commands
from bot.cookies import KIND as COOKIES
from bot.cookies import CookiesPage, site_for
from bot.forget import KIND as FORGET
from bot.forget import ForgetPage, Vault
from bot.history import KIND as HISTORY
from bot.history import HistoryPages
from bot.identity import Visit
from bot.links import KIND as LINKS
from bot.links import LinksPage
from bot.messages import Messages
from bot.outbox import Outbox
from bot.pairing import KIND as PAIRING
from bot.pairing import PairingPage, code_in_link, is_code
from bot.people import KIND as PEOPLE
from bot.people import PeoplePage
from bot.sessions import KIND as SESSIONS
from bot.sessions import SessionsPage
from bot.settings import KIND as SETTINGS
from bot.settings import SettingsPage
from bot.status import KIND as STATUS
from bot.status import Status
from bot.web import WebPage
from service.accounts import Accounts
from service.cards import ChatCards
from service.cookies import CookieJars
from service.download_sessions import DownloadSessions
from service.downloads import Downloads
from service.forgetting import Forgetting
from service.history import Histories
from service.limits import Quotas
from service.links import Links
from service.logins import Logins
from service.members import Members
from service.own_sessions import OwnSessions
from service.pairing import Pairing
from service.ports import Clock, Database
from service.statistics import StatisticsRows

Show = Callable[[Message, Visit], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountParts:
    """The use cases of accounts. `address` is where people reach the web pages; None where nobody told us."""

    accounts: Accounts
    logins: Logins
    pairing: Pairing
    jars: CookieJars
    sessions: DownloadSessions
    own_sessions: OwnSessions
    statistics: StatisticsRows
    quotas: Quotas
    address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageParts:
    """What the pages work with besides."""

    database: Database
    downloads: Downloads
    watched: Links
    members: Members
    cards: ChatCards
    histories: Histories
    forgetting: Forgetting
    clock: Clock
    attendant: Attendant
    outbox: Outbox
    bot: ExtBot[Any]
    bot_id: int


class Pages:
    """All that is more than one sentence, and is no card."""

    def __init__(self, parts: PageParts, accounts: AccountParts) -> None:
        outbox, vault = parts.outbox, Vault(parts.outbox)
        self.vault = vault
        self.status = Status(cards=parts.cards, downloads=parts.downloads, outbox=outbox)
        self.settings = SettingsPage(members=parts.members, outbox=outbox)
        self.history = HistoryPages(
            histories=parts.histories, cards=parts.cards, attendant=parts.attendant, outbox=outbox, bot_id=parts.bot_id
        )
        self.forget = ForgetPage(
            forgetting=parts.forgetting,
            pairing=accounts.pairing,
            members=parts.members,
            cards=parts.cards,
            attendant=parts.attendant,
            vault=vault,
            outbox=outbox,
        )
        self.pairing = PairingPage(pairing=accounts.pairing, sessions=accounts.sessions, outbox=outbox)
        self.sessions = SessionsPage(sessions=accounts.sessions, own=accounts.own_sessions, vault=vault, outbox=outbox)
        self.links = LinksPage(links=parts.watched, outbox=outbox)
        self.web = WebPage(logins=accounts.logins, address=accounts.address, outbox=outbox)
        self.cookies = CookiesPage(jars=accounts.jars, bot=parts.bot, outbox=outbox)
        self.people = PeoplePage(
            accounts=accounts.accounts,
            quotas=accounts.quotas,
            statistics=accounts.statistics,
            database=parts.database,
            clock=parts.clock,
            outbox=outbox,
        )

    def by_kind(self, stop_all: Page) -> dict[str, Page]:
        """Which page a button belongs to."""
        return {
            HISTORY: self.history.pressed,
            SETTINGS: self.settings.pressed,
            FORGET: self.forget.pressed,
            STATUS: stop_all,
            PAIRING: self.pairing.pressed,
            SESSIONS: self.sessions.pressed,
            COOKIES: self.cookies.pressed,
            PEOPLE: self.people.pressed,
            LINKS: self.links.pressed,
        }

    def shown(self, command: str, *, is_admin: bool) -> Show | None:
        """What a command shows to whoever says it."""
        shows: dict[str, Show] = {
            "status": self.status.show,
            "history": self.history.show,
            "settings": self.settings.show,
            "forget": self.forget.show,
            "sessions": self.sessions.show,
            "web": self.web.show,
            "links": self.links.show,
        }
        of_administrators: dict[str, Show] = {"users": self.people.show, "stats": self.people.show_statistics}
        return (shows | of_administrators if is_admin else shows).get(command)


MOST_AT_ONCE = 10
"""Addresses in one `/link`."""


class Routing:
    """Of one bot, once its name is known."""

    def __init__(self, *, pages: Pages, commands: Commands, messages: Messages, buttons: Buttons, bot_id: int, bot_name: str) -> None:
        self._pages, self._commands, self._messages, self._buttons = pages, commands, messages, buttons
        self._bot_id, self._bot_name = bot_id, bot_name

    def is_meant(self, command: str | None, message: Message) -> bool:
        """In groups the rest is none of the bot's business."""
        return self._messages.is_meant(message) if command is None else command in KNOWN

    async def message(self, message: Message, visit: Visit) -> None:
        """One without a command of ours in its text."""
        site = None if visit.is_group else site_for(message, self._bot_id, self._bot_name)
        if site is not None:
            await self._pages.cookies.take(message, visit, site)
        else:
            await self._messages.received(message, visit)

    async def command(self, command: str, argument: str, message: Message, visit: Visit) -> None:
        if visit.is_group:
            await self._in_group(command, message, visit)
        elif not (await self._say(command, argument, message, visit) or await self._show(command, argument, message, visit)):
            await self._commands.unknown(message, visit)

    async def _in_group(self, command: str, message: Message, visit: Visit) -> None:
        """Only links and the asker's own `/cancel`; for the rest there is the private chat."""
        if command == "dl":
            await self._commands.download(message, visit)
        elif command == "cancel":
            await self._pages.status.cancel(message, visit, self._buttons)
        else:
            await self._messages.point_to_private_chat(message, visit)

    async def _say(self, command: str, argument: str, message: Message, visit: Visit) -> bool:
        """False for what is none of these."""
        match command:
            case "start" if is_code(argument):
                await self._pages.pairing.offer(visit, argument)
            case "start":
                await self._commands.start(message, visit)
            case "help":
                await self._commands.help(message, visit)
            case "privacy":
                await self._commands.privacy(message, visit)
            case "dl":
                await self._commands.download(message, visit)
            case "link":
                await self._link(argument, message, visit)
            case _:
                return False
        return True

    async def _link(self, argument: str, message: Message, visit: Visit) -> None:
        code = code_in_link(argument, self._bot_name)
        if code is not None:  # an address, too, but none of media
            await self._pages.pairing.offer(visit, code)
        elif finds := finds_in(message):
            for find in finds[:MOST_AT_ONCE]:
                await self._pages.links.add(visit, find.url)
        else:
            await self._pages.pairing.show(visit, argument)

    async def _show(self, command: str, argument: str, message: Message, visit: Visit) -> bool:
        """False for what is no page, or none for whoever asks."""
        pages = self._pages
        if command == "cancel":
            await pages.status.cancel(message, visit, self._buttons)
        elif command == "cookies":
            await pages.cookies.show(message, visit, argument)
        elif (show := pages.shown(command, is_admin=visit.member.is_admin)) is not None:
            await show(message, visit)
        else:
            return False
        return True
