"""`/forget`: all that is kept of somebody, deleted after they were asked."""

from __future__ import annotations

import logging

from telegram import CallbackQuery, Message

from bot.identity import Visit
from bot.keys import Key, button, keyboard
from bot.outbox import MessageGone, Outbox
from service.errors import CardGone
from service.forgetting import Forgetting
from service.model import LOCAL_ACCOUNT

log = logging.getLogger("magpie.bot")
KIND = "forget"


class ForgetPage:
    """The question is bound to who asked: another's press changes nothing."""

    def __init__(self, *, forgetting: Forgetting, outbox: Outbox) -> None:
        self._forgetting, self._outbox = forgetting, outbox

    async def show(self, message: Message, visit: Visit) -> None:
        del message
        if visit.member.account.id == LOCAL_ACCOUNT:
            await self._outbox.say(visit.place, visit.texts.forget_local)
            return
        mine = str(visit.member.user.id)
        buttons = [button(visit.texts.forget_yes, Key(KIND, mine, "yes")), button(visit.texts.forget_no, Key(KIND, mine, "no"))]
        await self._outbox.say(visit.place, visit.texts.forget_ask, keyboard=keyboard(buttons))

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> str | None:
        if key.id != str(visit.member.user.id) or key.verb not in {"yes", "no"} or query.message is None:
            raise CardGone
        if key.verb == "yes":
            await self._forgetting.forget(visit.member)
        said = visit.texts.forgotten if key.verb == "yes" else visit.texts.not_forgotten
        try:
            await self._outbox.edit(visit.place, query.message.message_id, said, keyboard=None, is_caption=False)
        except MessageGone:
            log.info("the question was deleted before its answer")
        return None
