"""`/history`: what somebody had, page by page, to send again."""

from __future__ import annotations

from telegram import CallbackQuery, InlineKeyboardButton, Message

from bot import wording
from bot.attendant import Attendant
from bot.cards import View
from bot.identity import Visit
from bot.keys import Key, button, keyboard, rows
from bot.outbox import MessageGone, Outbox
from bot.presses import Presses
from service.cards import ChatCards, Find, Request
from service.errors import CardGone, InvalidUrl, JobNotFound
from service.history import Histories, HistoryPage
from service.media_url import MediaUrl
from service.model import HistoryEntry, Outcome

KIND = "history"
A_PAGE = 8
_SIGNS = {Outcome.SUCCESS: "✅", Outcome.PARTIAL: "☑️", Outcome.FAILURE: "⚠️", Outcome.CANCELLED: "✖"}
_DIGITS = 18
"""What fits into the database's integers."""
_MAX_WORDS = 38
"""Bytes of a search that fit into a button's data beside the rest."""


class HistoryPages:
    """Theirs alone: every look-up is by the asker's account."""

    def __init__(self, *, histories: Histories, cards: ChatCards, attendant: Attendant, outbox: Outbox, bot_id: int) -> None:
        self._histories, self._cards, self._attendant = histories, cards, attendant
        self._outbox, self._bot_id = outbox, bot_id
        self._presses = Presses()

    async def show(self, message: Message, visit: Visit) -> None:
        words = _fitting(" ".join((message.text or "").split()[1:]))
        view = await self._view(visit, words, 0)
        await self._outbox.say(visit.place, view.text, keyboard=view.keyboard)

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> str | None:
        """Another page (`history|8||cats`), or an entry to send again (`history|17|send`)."""
        if not (key.id.isascii() and key.id.isdigit() and len(key.id) <= _DIGITS):
            raise CardGone
        if key.verb == "send":
            self._presses.once(f"{visit.member.account.id}:{key.id}")
            return await self._send(visit, int(key.id), f"query:{query.id}")
        view = await self._view(visit, key.argument, int(key.id))
        if query.message is not None:
            try:
                await self._outbox.edit(visit.place, query.message.message_id, view.text, keyboard=view.keyboard, is_caption=False)
            except MessageGone:
                raise CardGone from None
        return None

    async def _send(self, visit: Visit, entry_id: int, cause: str) -> str:
        """From the store; what is no longer there is looked at anew."""
        entry, job, files = await self._histories.entry(visit.member.account.id, entry_id)
        request = Request(bot_id=self._bot_id, place=visit.place, message_id=None, cause=cause)
        if job is not None and files:
            card = await self._cards.open_for(visit.member, request, job.url, job.id)
        else:
            try:
                url = job.url if job is not None else MediaUrl.parse(entry.url)
            except InvalidUrl:
                raise JobNotFound from None
            (card,) = await self._cards.open(visit.member, request, [Find(url=url)], asks=True)
        self._attendant.attend(card.id)
        return visit.texts.starting

    async def _view(self, visit: Visit, words: str, skip: int) -> View:
        page = await self._histories.page(visit.member.account.id, words=words.split(), skip=skip, limit=A_PAGE)
        texts = visit.texts
        if not page.entries:
            return View(texts.history_none.format(words=wording.escaped(words)) if words else texts.history_empty)
        title = texts.history_search.format(words=wording.escaped(words)) if words else texts.history_title
        numbered = list(enumerate(page.entries, page.skip + 1))
        lines = [title, "", *(_line(number, entry) for number, entry in numbered)]
        last = page.skip + len(page.entries)
        lines += ["", texts.page.format(first=page.skip + 1, last=last, count=page.count)]
        again = [button(f"📨 {number}", Key(KIND, str(entry.id), "send")) for number, entry in numbered]
        return View("\n".join(lines), keyboard(*rows(again, 4), _turns(page, words, visit)))


def _turns(page: HistoryPage, words: str, visit: Visit) -> list[InlineKeyboardButton]:
    turns = []
    if page.skip > 0:
        turns.append(button(visit.texts.newer, Key(KIND, str(max(0, page.skip - A_PAGE)), "", words)))
    if page.skip + len(page.entries) < page.count:
        turns.append(button(visit.texts.older, Key(KIND, str(page.skip + A_PAGE), "", words)))
    return turns


def _line(number: int, entry: HistoryEntry) -> str:
    title = wording.escaped(entry.title or entry.url, 70)
    return f"{number}. {_SIGNS[entry.outcome]} {title} · {entry.ended_at:%d.%m.}"


def _fitting(words: str) -> str:
    return words.encode()[:_MAX_WORDS].decode(errors="ignore").replace("|", " ").strip()
