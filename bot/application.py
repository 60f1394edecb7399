"""The bot as a whole: started and stopped inside the service's loop, and supervised while Telegram is out of reach."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from telegram import Message, Update
from telegram.error import Conflict, InvalidToken, NetworkError, TelegramError
from telegram.ext import CallbackContext, TypeHandler

from bot import wording
from bot.attachments import Attachments, Thumbnails
from bot.attendant import Attendant
from bot.buttons import Buttons
from bot.commands import OWNER_PREFIX, Commands, command_in, menus
from bot.connection import POLL, ChatOptions, make_application, make_bot
from bot.delivery import Courier, DeliveryPolicy, Links
from bot.greeting import Greeter
from bot.identity import Gate, TurnedAway, Visit, person_of, place_of, texts_for
from bot.inbox import Inbox, InboxProcessor
from bot.keys import Key
from bot.languages import for_language
from bot.link_news import LinkTeller
from bot.messages import Messages
from bot.outbox import ChatGone, Lost, MessageGone, NotAccepted, NotReached, Outbox
from bot.patience import Patience
from bot.posts import PostKeeper
from bot.routing import AccountParts, PageParts, Pages, Routing
from service.cards import ChatCards
from service.chat import Place, TelegramCopy
from service.deliveries import Deliveries
from service.downloads import Downloads
from service.errors import ChatUnreachable
from service.failing_sites import FailingSite
from service.forgetting import Forgetting
from service.history import Histories
from service.link_news import LinkNews
from service.links import Links as WatchedLinks
from service.members import Members
from service.ports import Clock, Database, JobEvents, Media
from service.posts import Posts

log = logging.getLogger("magpie.bot")
ALLOWED_UPDATES = ("message", "callback_query")
POLL_STOPS_WITHIN = 2.0
TRY_AGAIN_AFTER = timedelta(minutes=1)
STOP_WITHIN = 5.0
"""Seconds that handlers are given to end; what they did not finish is in the inbox."""


class ChatState(StrEnum):
    """Whether the bot talks."""

    STARTING = "starting"
    RUNNING = "running"
    REFUSED = "refused"
    """Telegram does not know the token."""
    SHARED = "shared"
    """Another program polls with the same token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatParts:
    """The use cases and ports that the bot works with."""

    database: Database
    downloads: Downloads
    watched: WatchedLinks
    news: LinkNews
    members: Members
    cards: ChatCards
    deliveries: Deliveries
    histories: Histories
    posts: Posts
    forgetting: Forgetting
    media: Media
    thumbnails: Thumbnails
    links: Links
    events: JobEvents
    clock: Clock
    accounts: AccountParts


class TelegramChat:
    """`start`, then `stop`. Telegram may be out of reach at the start, and come back."""

    def __init__(self, parts: ChatParts, options: ChatOptions, say: Callable[[str], None]) -> None:
        """`say` tells whoever started the service something that belongs in no log."""
        self._parts, self._options, self._say = parts, options, say
        self._state = ChatState.STARTING
        self.name: str | None = None
        """The bot's user name, once Telegram has told it."""
        self._inbox = Inbox(database=parts.database, clock=parts.clock, bot_id=options.bot_id)
        self._bot = make_bot(options)
        self._outbox = Outbox(self._bot)
        self._gate = Gate(parts.members)
        self._greeter = Greeter(outbox=self._outbox, admits=self._gate.surely_admits)
        self._bot.commit_to(self._inbox, self._greeter.greet)
        self._processor = InboxProcessor(self._inbox)
        self._application = make_application(self._bot, self._inbox, self._processor)
        self._processor.application = self._application
        self._application.add_handler(TypeHandler(Update, self._on_update))
        self._application.add_error_handler(self._on_error)
        self._attendant = self._make_attendant()
        self._pages = self._make_pages()
        self._buttons = self._make_buttons()
        self._commands: Commands | None = None
        self._routing: Routing | None = None
        self._starter: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None

    def _make_attendant(self) -> Attendant:
        parts, options = self._parts, self._options
        attachments = Attachments(
            deliveries=parts.deliveries,
            outbox=self._outbox,
            media=parts.media,
            thumbnails=parts.thumbnails,
            bot_id=options.bot_id,
            vault_chat=options.vault_chat,
        )
        courier = Courier(
            deliveries=parts.deliveries,
            outbox=self._outbox,
            attachments=attachments,
            members=parts.members,
            links=parts.links,
            policy=DeliveryPolicy(upload_limit=options.upload_limit, link_life=options.link_life),
        )
        return Attendant(
            cards=parts.cards,
            deliveries=parts.deliveries,
            downloads=parts.downloads,
            database=parts.database,
            members=parts.members,
            courier=courier,
            outbox=self._outbox,
            events=parts.events,
            clock=parts.clock,
            quotas=parts.accounts.quotas,
        )

    def _make_pages(self) -> Pages:
        parts = PageParts(
            database=self._parts.database,
            downloads=self._parts.downloads,
            watched=self._parts.watched,
            members=self._parts.members,
            cards=self._parts.cards,
            histories=self._parts.histories,
            forgetting=self._parts.forgetting,
            clock=self._parts.clock,
            attendant=self._attendant,
            outbox=self._outbox,
            bot=self._bot,
            bot_id=self._options.bot_id,
        )
        return Pages(parts, self._parts.accounts)

    def _make_buttons(self) -> Buttons:
        async def stop_all(query: Any, visit: Visit, key: Key) -> str:
            return await self._pages.status.stop_all(query, visit, key, self._buttons)

        return Buttons(
            cards=self._parts.cards,
            deliveries=self._parts.deliveries,
            downloads=self._parts.downloads,
            attendant=self._attendant,
            outbox=self._outbox,
            pages=self._pages.by_kind(stop_all),
            watched=self._pages.links,
            bot_id=self._options.bot_id,
        )

    def _teller(self) -> LinkTeller:
        return LinkTeller(
            news=self._parts.news,
            cards=self._parts.cards,
            attendant=self._attendant,
            members=self._parts.members,
            outbox=self._outbox,
            bot=self._bot,
            bot_id=self._options.bot_id,
        )

    # --- life -----------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> ChatState:
        if self._state is ChatState.RUNNING and self._bot.refusal is not None:
            return ChatState.SHARED if issubclass(self._bot.refusal, Conflict) else ChatState.REFUSED
        return self._state

    async def start(self) -> None:
        """Returns at once: Telegram is connected to behind."""
        self._starter = asyncio.create_task(self._start(), name="chat")

    async def _start(self) -> None:
        try:
            await self._until_reached(self._application.initialize)
            await self._begin()
        except InvalidToken:
            self._state = ChatState.REFUSED
            log.error("Telegram does not know the bot's token (MAGPIE_BOT_TOKEN)")  # noqa: TRY400 - the traceback holds the token
        except Exception:
            # The task's outermost frame: nobody awaits it before the stop.
            log.exception("the chat could not be started")
            raise

    async def _until_reached(self, call: Callable[[], Awaitable[None]]) -> None:
        """Again and again. Raises `InvalidToken`."""
        patience = Patience()
        while True:
            try:
                return await call()
            except InvalidToken:
                raise
            except TelegramError as broken:
                log.warning("Telegram is out of reach, trying again", extra={"cause": type(broken).__name__})
                await patience.pause()

    async def _begin(self) -> None:
        self.name = self._bot.username
        messages = Messages(
            cards=self._parts.cards,
            attendant=self._attendant,
            outbox=self._outbox,
            posts=PostKeeper(bot=self._bot, outbox=self._outbox, posts=self._parts.posts, fetch_limit=self._options.fetch_limit),
            bot_id=self._options.bot_id,
            bot_name=self.name,
        )
        self._commands = Commands(outbox=self._outbox, messages=messages, members=self._parts.members)
        self._routing = Routing(
            pages=self._pages,
            commands=self._commands,
            messages=messages,
            buttons=self._buttons,
            bot_id=self._options.bot_id,
            bot_name=self.name,
        )
        await self._tell_owner_link()
        await self._application.start()
        for update in await self._inbox.left_over(self._bot):
            await self._inbox.replay(update)
        resumed = await self._attendant.resume(self._options.bot_id)
        await self._until_reached(self._listen)
        self._state = ChatState.RUNNING
        self._telling = asyncio.create_task(self._teller().keep(), name="news of links")
        log.info("the bot @%s listens", self.name, extra={"cards_resumed": resumed})
        await self._tell_menus()

    async def _listen(self) -> None:
        url = self._options.webhook_url
        if url is None:
            assert self._application.updater is not None
            await self._application.updater.start_polling(
                timeout=POLL, allowed_updates=ALLOWED_UPDATES, bootstrap_retries=-1, error_callback=_poll_failed
            )
            return
        await self._bot.set_webhook(f"{url}/telegram/webhook", secret_token=self._options.webhook_secret, allowed_updates=ALLOWED_UPDATES)

    async def _tell_owner_link(self) -> None:
        token = await self._parts.members.new_owner_token()
        if token is not None:
            self._say(
                f"Nobody may use the bot yet. Whoever opens this link first owns it: https://t.me/{self.name}?start={OWNER_PREFIX}{token}"
            )

    async def _tell_menus(self) -> None:
        with suppress(TelegramError):
            for language, commands in menus():
                await self._bot.set_my_commands(commands, language_code=language)

    async def stop(self) -> None:
        """Nothing accepted is lost: what is not done yet is in the inbox, every card is in the database."""
        for task in (self._starter, self._telling):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._stop_polling()
        self._greeter.stop()
        await self._attendant.stop()
        self._processor.stop()
        with suppress(TelegramError, TimeoutError):
            if self._application.running:
                async with asyncio.timeout(STOP_WITHIN):
                    await self._application.stop()
        await self._inbox.flush()
        with suppress(TelegramError, RuntimeError):
            await self._application.shutdown()

    async def _stop_polling(self) -> None:
        """Its last call confirms what was taken; told again, it is not new."""
        updater = self._application.updater
        if updater is None or not updater.running:
            return
        stopping = asyncio.create_task(updater.stop(), name="updater")
        while not (await asyncio.wait({stopping}, timeout=POLL_STOPS_WITHIN))[0]:
            stopping.cancel()  # more than once: between two tries the library swallows it, and makes its last call
        with suppress(asyncio.CancelledError, TelegramError):
            stopping.result()

    async def tell_of_failing_site(self, site: FailingSite, version: str | None) -> None:
        """To every administrator who has talked to the bot; who cannot be reached is left out."""
        for member in await self._parts.members.administrators():
            about = {"host": wording.escaped(site.host), "failed": site.failed, "ended": site.ended, "version": version or "?"}
            try:
                await self._outbox.say(Place(chat_id=member.user.id), texts_for(member).site_fails.format(**about))
            except (ChatGone, Lost, NotAccepted, NotReached) as silent:
                log.warning("an administrator could not be told of a failing site: %s", type(silent).__name__)

    async def part_from(self, account_id: int) -> None:
        """What Telegram holds of an account that is about to be deleted over HTTP goes. Raises `ChatUnreachable`."""
        if self.state is ChatState.REFUSED:
            log.warning("the bot's token is not valid any more: what account %s has in a vault chat stays there", account_id)
            return
        try:
            await self._pages.forget.part_from(account_id)
        except (NotReached, Lost) as silent:
            raise ChatUnreachable(retry_after=TRY_AGAIN_AFTER) from silent

    async def part_from_identity(self, account_id: int, telegram_id: int) -> None:
        """Before `Pairing.unpair` over HTTP: the identity's open cards go, as with `/forget`. None go where `unpair` will refuse."""
        await self._pages.forget.part_from_identity(account_id, telegram_id)

    async def empty_vaults(self, copies: Sequence[TelegramCopy]) -> None:
        """Files that are about to be deleted over HTTP go from the vault chat. Raises `ChatUnreachable`."""
        if self.state is ChatState.REFUSED:
            log.warning("the bot's token is not valid any more: %s files stay in a vault chat", len(copies))
            return
        try:
            await self._pages.vault.empty(copies)
        except (NotReached, Lost) as silent:
            raise ChatUnreachable(retry_after=TRY_AGAIN_AFTER) from silent

    # --- updates --------------------------------------------------------------------------------------------------------

    async def take(self, body: dict[str, Any]) -> None:
        """An update that came by webhook: committed when this returns."""
        update = Update.de_json(body, self._bot)
        self._greeter.greet([update])
        await self._inbox.commit([update])
        await self._inbox.put(update)

    async def _on_update(self, update: Update, context: CallbackContext[Any, Any, Any, Any]) -> None:
        del context
        query, message = update.callback_query, update.message
        if query is not None:
            visit = await self._gate.visit(update)
            if isinstance(visit, TurnedAway):
                await self._outbox.answer(query.id)
            else:
                await self._buttons.pressed(query, visit)
        elif message is not None:
            await self._on_message(update, message)

    async def _on_message(self, update: Update, message: Message) -> None:
        command, argument = command_in(message, self.name)
        if command == "start" and argument.startswith(OWNER_PREFIX) and not place_of(message).is_group:
            await self._own(update, message, argument.removeprefix(OWNER_PREFIX))
            return
        assert self._routing is not None
        if place_of(message).is_group and not self._routing.is_meant(command, message):
            return  # before the gate: whoever only talks in a group gets no account
        is_greeted = await self._greeter.was_greeted(update)
        visit = await self._gate.visit(update)
        if isinstance(visit, TurnedAway):
            if visit.line is not None:
                await self._outbox.say(place_of(message), visit.line)
            return
        visit = replace(visit, is_greeted=is_greeted)
        if command is None:
            await self._routing.message(message, visit)
        else:
            await self._routing.command(command, argument, message, visit)

    async def _own(self, update: Update, message: Message, token: str) -> None:
        person = person_of(update)
        if person is not None and self._commands is not None:
            await self._commands.own(person, place_of(message), token, for_language(person.language_code))

    async def _on_error(self, update: object, context: CallbackContext[Any, Any, Any, Any]) -> None:
        """What a handler raised. A chat that is gone is nobody's fault; a bug is told to whoever met it, with a number."""
        error = context.error
        if isinstance(update, Update) and update.callback_query is not None:
            await self._outbox.answer(update.callback_query.id)  # else the button would go on waiting
        if isinstance(error, ChatGone | MessageGone | NotAccepted | Lost):
            log.info("an answer was not delivered: %s", type(error).__name__)
            return
        self._processor.failed(update, error)
        if isinstance(error, NotReached | NetworkError):
            return
        number = secrets.token_hex(4)
        log.error("an update failed (%s)", number, exc_info=error)
        message = update.effective_message if isinstance(update, Update) else None
        if isinstance(message, Message) and not Place(chat_id=message.chat_id).is_group:
            user = update.effective_user if isinstance(update, Update) else None
            texts = for_language(user.language_code if user else None)
            with suppress(ChatGone, MessageGone, NotAccepted, Lost, NotReached):
                await self._outbox.say(place_of(message), texts.went_wrong.format(id=number))


def _poll_failed(error: TelegramError) -> None:
    log.warning("polling Telegram failed, it is tried again", extra={"cause": type(error).__name__})
