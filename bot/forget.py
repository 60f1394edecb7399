"""`/forget`: all that is kept of somebody, deleted after they were asked."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from telegram import CallbackQuery, InputFile, InputMediaDocument, Message

from bot.attendant import Attendant
from bot.cards import View
from bot.identity import Visit
from bot.keys import Key, button, keyboard
from bot.outbox import ChatGone, MessageGone, NotAccepted, Outbox
from bot.problems import notice_of
from bot.turning import remove_surely, turn
from bot.wording import escaped
from service.cards import ChatCards
from service.chat import Card, Place, TelegramCopy
from service.errors import CardGone, LastSuperuser
from service.forgetting import Forgetting
from service.members import Members
from service.model import LOCAL_ACCOUNT
from service.pairing import Pairing, is_own

log = logging.getLogger("magpie.bot")
KIND = "forget"


class Vault:
    """The vault chat's messages with files that are nobody's any more."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def empty(self, copies: Sequence[TelegramCopy]) -> None:
        for copy in copies:
            if copy.vault_chat_id is not None and copy.vault_message_id is not None:
                await self._take_out(Place(chat_id=copy.vault_chat_id), copy.vault_message_id)

    async def _take_out(self, vault: Place, message_id: int) -> None:
        """While Telegram cannot be reached, nothing is forgotten yet: the press is handled again. What it does not let a bot
        delete any more (after two days) becomes an empty note.
        """
        try:
            await remove_surely(self._outbox, vault, message_id)
        except NotAccepted:
            note = InputMediaDocument(InputFile(b"deleted\n", filename="deleted.txt"), caption="")
            try:
                await self._outbox.turn_into(vault, message_id, note, None)
            except (NotAccepted, MessageGone, ChatGone):
                log.warning("Telegram keeps a file in the vault chat: delete message %s there by hand", message_id)
        except ChatGone:
            log.warning("the vault chat cannot be reached any more")


class ForgetPage:
    """The question is bound to who asked: another's press changes nothing."""

    def __init__(
        self,
        *,
        forgetting: Forgetting,
        pairing: Pairing,
        members: Members,
        cards: ChatCards,
        attendant: Attendant,
        vault: Vault,
        outbox: Outbox,
    ) -> None:
        self._forgetting, self._pairing, self._members, self._cards = forgetting, pairing, members, cards
        self._attendant, self._vault, self._outbox = attendant, vault, outbox

    async def show(self, message: Message, visit: Visit) -> None:
        """Whoever is paired with an account is asked which of the two."""
        del message
        view = await self._question(visit)
        await self._outbox.say(visit.place, view.text, keyboard=view.keyboard)

    async def _question(self, visit: Visit) -> View:
        account, texts, mine = visit.member.account, visit.texts, str(visit.member.user.id)
        if account.id == LOCAL_ACCOUNT:
            return View(texts.forget_local)
        keep = button(texts.forget_no, Key(KIND, mine, "no"))
        if is_own(visit.member.user, account) and not await self._pairing.can_be_left(visit.member.user, account):
            try:
                await self._forgetting.check(account)
            except LastSuperuser as refused:
                return View(notice_of(refused, texts))
            return View(texts.forget_ask, keyboard([button(texts.forget_yes, Key(KIND, mine, "yes")), keep]))
        only_me = button(texts.forget_identity, Key(KIND, mine, "me"))
        all_of_it = button(texts.forget_account, Key(KIND, mine, "all", str(account.id)))
        return View(texts.forget_which.format(name=escaped(account.username)), keyboard([only_me], [all_of_it], [keep]))

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> str | None:
        """Raises `CardGone`, `LastSuperuser`: then nothing was deleted.

        Each question is about one account: one that was asked before the chat was paired does not delete what it is paired with.
        """
        is_ours = key.id == str(visit.member.user.id) and visit.member.account.id != LOCAL_ACCOUNT
        if not is_ours or query.message is None:
            raise CardGone
        match key.verb:
            case "yes" if is_own(visit.member.user, visit.member.account):
                await self._forget_account(visit)
                said = visit.texts.forgotten
            case "all":
                await self._forget_named(visit, key.argument)
                said = visit.texts.forgotten
            case "me":
                await self._forget_identity(visit)
                said = visit.texts.forgot_identity
            case "no":
                said = visit.texts.not_forgotten
            case _:
                raise CardGone
        await turn(self._outbox, query, visit, View(said))
        return None

    async def _forget_named(self, visit: Visit, account_id: str) -> None:
        """The account that was asked about. A press that is handled again, since its answer was lost, finds it gone."""
        if account_id == str(visit.member.account.id):
            await self._forget_account(visit)
        elif not (account_id.isascii() and account_id.isdigit() and await self._forgetting.is_gone(int(account_id[:18]))):
            raise CardGone

    async def _forget_account(self, visit: Visit) -> None:
        await self._forgetting.check(visit.member.account)
        await self.part_from(visit.member.account.id)
        await self._forgetting.forget(visit.member.account)

    async def part_from(self, account_id: int) -> None:
        """What Telegram holds of an account that is about to be deleted. Raises `NotReached`; may be called again."""
        await self._let_go(await self._cards.open_of(account_id))
        await self._vault.empty(await self._forgetting.in_vaults(account_id))

    async def _forget_identity(self, visit: Visit) -> None:
        """What is under way goes on: it is the account's. Handled again, there is nothing left to part with."""
        account_id, telegram_id = visit.member.account.id, visit.member.user.id
        if await self.part_from_identity(account_id, telegram_id):
            await self._pairing.unpair(visit.actor, account_id, telegram_id)

    async def part_from_identity(self, account_id: int, telegram_id: int) -> bool:
        """Before it is unpaired: the open cards that it asked for go, wherever that was. False, and no change, where it cannot be."""
        member = await self._members.of_account(account_id, telegram_id)
        if member is None or member.user.id != telegram_id or not await self._pairing.can_be_left(member.user, member.account):
            return False
        await self._let_go([card for card in await self._cards.open_of(account_id) if card.asker_id == telegram_id])
        return True

    async def _let_go(self, cards: Sequence[Card]) -> None:
        """Nobody goes on with what is about to be gone, and no old card shows it as if it were under way."""
        for card in cards:
            await self._attendant.leave(card.id)
            shown = await self._cards.get(card.id) or card  # it may have got its message meanwhile
            if shown.message_id is not None:
                await self._outbox.delete(shown.place, shown.message_id)
