"""`/forget`: all that is kept of somebody, deleted after they were asked."""

from __future__ import annotations

import logging

from telegram import CallbackQuery, InputFile, InputMediaDocument, Message

from bot.attendant import Attendant
from bot.identity import Visit
from bot.keys import Key, button, keyboard
from bot.outbox import ChatGone, Lost, MessageGone, NotAccepted, NotReached, Outbox
from bot.patience import Patience
from service.cards import ChatCards
from service.chat import Place
from service.errors import CardGone
from service.forgetting import Forgetting
from service.model import LOCAL_ACCOUNT

log = logging.getLogger("magpie.bot")
KIND = "forget"
TRIES = 3


class ForgetPage:
    """The question is bound to who asked: another's press changes nothing."""

    def __init__(self, *, forgetting: Forgetting, cards: ChatCards, attendant: Attendant, outbox: Outbox) -> None:
        self._forgetting, self._cards, self._attendant, self._outbox = forgetting, cards, attendant, outbox

    async def show(self, message: Message, visit: Visit) -> None:
        del message
        if visit.member.account.id == LOCAL_ACCOUNT:
            await self._outbox.say(visit.place, visit.texts.forget_local)
            return
        mine = str(visit.member.user.id)
        buttons = [button(visit.texts.forget_yes, Key(KIND, mine, "yes")), button(visit.texts.forget_no, Key(KIND, mine, "no"))]
        await self._outbox.say(visit.place, visit.texts.forget_ask, keyboard=keyboard(buttons))

    async def _let_go(self, visit: Visit) -> None:
        """Nobody goes on with what is about to be gone, and no old card shows it as if it were under way."""
        for card in await self._cards.open_of(visit.member.account.id):
            await self._attendant.leave(card.id)
            if card.message_id is not None:
                await self._outbox.delete(card.place, card.message_id)

    async def _empty_vault(self, visit: Visit) -> None:
        for copy in await self._forgetting.in_vaults(visit.member):
            if copy.vault_chat_id is not None and copy.vault_message_id is not None:
                await self._take_out(Place(chat_id=copy.vault_chat_id), copy.vault_message_id)

    async def _take_out(self, vault: Place, message_id: int) -> None:
        """While Telegram cannot be reached, nothing is forgotten yet: the press is handled again. What it does not let a bot
        delete any more (after two days) becomes an empty note.
        """
        try:
            await self._remove(vault, message_id)
        except NotAccepted:
            note = InputMediaDocument(InputFile(b"deleted\n", filename="deleted.txt"), caption="")
            try:
                await self._outbox.turn_into(vault, message_id, note, None)
            except (NotAccepted, MessageGone, ChatGone):
                log.warning("Telegram keeps a file in the vault chat: delete message %s there by hand", message_id)
        except ChatGone:
            log.warning("the vault chat cannot be reached any more")

    async def _remove(self, vault: Place, message_id: int) -> None:
        """To delete twice does no harm, so an answer that is lost is asked for again."""
        patience = Patience()
        for _ in range(TRIES):
            try:
                return await self._outbox.remove(vault, message_id)
            except Lost:
                await patience.pause()
        raise NotReached

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> str | None:
        is_ours = key.id == str(visit.member.user.id) and visit.member.account.id != LOCAL_ACCOUNT
        if not is_ours or key.verb not in {"yes", "no"} or query.message is None:
            raise CardGone
        if key.verb == "yes":
            await self._let_go(visit)
            await self._empty_vault(visit)
            await self._forgetting.forget(visit.member)
        said = visit.texts.forgotten if key.verb == "yes" else visit.texts.not_forgotten
        try:
            await self._outbox.edit(visit.place, query.message.message_id, said, keyboard=None, is_caption=False)
        except MessageGone:
            log.info("the question was deleted before its answer")
        return None
