"""Calls to Telegram, each in its lane, and Telegram's refusals in our words."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from telegram import (
    InlineKeyboardMarkup,
    InputFile,
    InputMedia,
    LinkPreviewOptions,
    Message,
    ReplyParameters,
)
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError
from telegram.ext import ExtBot

from bot.lanes import Lane
from service.chat import Place

log = logging.getLogger("magpie.bot")
EYES = "👀"
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
UPLOAD_TIMEOUTS: dict[str, Any] = {"read_timeout": 300, "write_timeout": 120, "connect_timeout": 20, "pool_timeout": 600}
"""Seconds. Telegram answers an upload only when it has looked at the file."""


class MessageGone(Exception):
    """The message was deleted, or cannot be edited any more."""


class ChatGone(Exception):
    """The bot was blocked or removed, or the chat does not exist."""


class NotAccepted(Exception):
    """Telegram refuses what is sent; it will refuse it again."""


class Lost(Exception):
    """No answer: nobody knows whether Telegram took it."""


class NotReached(Exception):
    """Telegram was surely not reached: nothing was sent."""


class Outbox:
    """Everything that the bot says. Raises `MessageGone`, `ChatGone`, `NotAccepted`, `Lost`, `NotReached`."""

    def __init__(self, bot: ExtBot[Any]) -> None:
        self._bot = bot

    # --- small things, whose failure changes nothing ----------------------------------------------------------------

    async def react(self, place: Place, message_id: int, emoji: str = EYES) -> None:
        await _quietly(self._bot.set_message_reaction(place.chat_id, message_id, emoji))

    async def answer(self, query_id: str, text: str | None = None, *, alert: bool = False) -> None:
        await _quietly(self._bot.answer_callback_query(query_id, text[:200] if text else None, show_alert=alert))

    async def action(self, place: Place, action: str) -> None:
        await _quietly(self._bot.send_chat_action(place.chat_id, action, message_thread_id=place.thread_id))

    async def delete(self, place: Place, message_id: int) -> None:
        await _quietly(self._bot.delete_message(place.chat_id, message_id))

    async def remove(self, place: Place, message_id: int) -> None:
        """Delete it for certain, or raise; that it is gone already is no error. `NotAccepted`: Telegram keeps it."""
        try:
            await _told(lambda: self._bot.delete_message(place.chat_id, message_id))
        except MessageGone:
            log.info("a message was gone already")

    # --- texts --------------------------------------------------------------------------------------------------------

    async def say(
        self,
        place: Place,
        text: str,
        *,
        keyboard: InlineKeyboardMarkup | None = None,
        reply_to: int | None = None,
        quietly: bool = False,
    ) -> Message:
        sent: Message = await _told(
            lambda: self._bot.send_message(
                place.chat_id,
                text,
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard,
                link_preview_options=NO_PREVIEW,
                message_thread_id=place.thread_id,
                disable_notification=quietly,
                reply_parameters=reply_parameters(reply_to),
            )
        )
        return sent

    async def show_picture(
        self, place: Place, picture: bytes, caption: str, *, keyboard: InlineKeyboardMarkup | None, reply_to: int | None
    ) -> Message:
        """A card with a picture: a text in rank, not a delivery."""
        sent: Message = await _told(
            lambda: self._bot.send_photo(
                place.chat_id,
                InputFile(picture, filename="card.jpg"),
                caption=caption,
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard,
                message_thread_id=place.thread_id,
                reply_parameters=reply_parameters(reply_to),
                rate_limit_args=Lane.TEXT,
            )
        )
        return sent

    async def edit(
        self, place: Place, message_id: int, text: str, *, keyboard: InlineKeyboardMarkup | None, is_caption: bool, lane: Lane = Lane.TEXT
    ) -> None:
        """The text or the caption. That nothing has changed is no error."""
        if is_caption:
            await _told(
                lambda: self._bot.edit_message_caption(
                    place.chat_id, message_id, caption=text, parse_mode=ParseMode.HTML, reply_markup=keyboard, rate_limit_args=lane
                )
            )
            return
        await _told(
            lambda: self._bot.edit_message_text(
                text,
                place.chat_id,
                message_id,
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard,
                link_preview_options=NO_PREVIEW,
                rate_limit_args=lane,
            )
        )

    # --- files --------------------------------------------------------------------------------------------------------

    async def turn_into(self, place: Place, message_id: int, media: InputMedia, keyboard: InlineKeyboardMarkup | None) -> Message | None:
        """Make a message of ours the file. Doing it again changes nothing. None when it was that file already."""
        done = await _told(lambda: self._bot.edit_message_media(media, place.chat_id, message_id, reply_markup=keyboard, **UPLOAD_TIMEOUTS))
        return done if isinstance(done, Message) else None

    async def send(self, call: Callable[[ExtBot[Any]], Awaitable[Any]]) -> Any:
        """Any other call that puts a file into a chat."""
        return await _told(lambda: call(self._bot))


def reply_parameters(message_id: int | None) -> ReplyParameters | None:
    return ReplyParameters(message_id, allow_sending_without_reply=True) if message_id is not None else None


async def _quietly(call: Awaitable[Any]) -> None:
    try:
        await call
    except Exception as refused:  # noqa: BLE001 - a small thing: whatever a server answers, nothing depends on it
        log.info("Telegram refused a small thing: %s", type(refused).__name__)


_GONE = (
    "message to edit not found",
    "message to delete not found",
    "message can't be edited",
    "message to be replied not found",
    "message_id_invalid",
)
_NO_CHAT = (
    "chat not found",
    "user not found",
    "not enough rights",
    "have no rights",
    "topic_closed",
    "thread not found",
    "peer_id_invalid",
)


async def _told(call: Callable[[], Awaitable[Any]]) -> Any:
    """Make the call; None when nothing had to be changed."""
    try:
        return await call()
    except Forbidden as refused:
        raise ChatGone from refused
    except BadRequest as refused:
        if "not modified" in refused.message.lower():
            return None
        raise _meaning(refused) from refused
    except NetworkError as broken:
        if "413" in broken.message or "entity too large" in broken.message.lower():
            raise NotAccepted from broken
        if isinstance(broken.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            raise NotReached from broken
        raise Lost from broken
    except ChatMigrated as moved:
        raise ChatGone from moved
    except (RetryAfter, InvalidToken) as refused:
        raise NotReached from refused
    except TelegramError as strange:  # an answer that cannot be read, say: it may have been taken
        log.warning("Telegram's answer was not understood: %s", type(strange).__name__)
        raise Lost from strange


def _meaning(refused: BadRequest) -> Exception:
    """Telegram's words for why not, as one of ours."""
    said = refused.message.lower()
    if any(words in said for words in _GONE):
        return MessageGone()
    if any(words in said for words in _NO_CHAT):
        return ChatGone()
    log.warning("Telegram did not accept a message: %s", refused.message)
    return NotAccepted()
