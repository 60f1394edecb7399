"""Messages that turn into something else, or go: what a press leads to, and what must not stay in a chat."""

from __future__ import annotations

import logging

from telegram import CallbackQuery

from bot.cards import View
from bot.identity import Visit
from bot.outbox import Lost, MessageGone, NotReached, Outbox
from bot.patience import Patience
from service.chat import Place

log = logging.getLogger("magpie.bot")
TRIES = 3


async def turn(outbox: Outbox, query: CallbackQuery, visit: Visit, view: View) -> None:
    """The message under the pressed button becomes this. That it was deleted meanwhile changes nothing about what was done."""
    if query.message is None:
        return
    try:
        await outbox.edit(visit.place, query.message.message_id, view.text, keyboard=view.keyboard, is_caption=False)
    except MessageGone:
        log.info("a message was deleted before its answer")


async def remove_surely(outbox: Outbox, place: Place, message_id: int) -> None:
    """To delete twice does no harm, so an answer that is lost is asked for again. Raises `NotReached`, `NotAccepted`, `ChatGone`."""
    patience = Patience()
    for _ in range(TRIES):
        try:
            return await outbox.remove(place, message_id)
        except Lost:
            await patience.pause()
    raise NotReached
