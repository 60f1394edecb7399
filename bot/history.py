"""`/history`: what somebody had, page by page, to send again."""

from __future__ import annotations

from dataclasses import replace

from telegram import CallbackQuery, InlineKeyboardButton, Message

from bot import wording
from bot.attendant import Attendant
from bot.cards import View
from bot.identity import Visit
from bot.keys import Key, button, keyboard, rows
from bot.languages import LANGUAGES
from bot.outbox import MessageGone, Outbox
from bot.presses import Presses
from bot.texts import Texts
from service.cards import ChatCards, Find, Request
from service.errors import CardGone, InvalidUrl, JobNotFound
from service.history import Histories, HistoryPage
from service.media_url import MediaUrl
from service.model import HistoryEntry, Origin, Outcome

KIND = "history"
A_PAGE = 8
_SIGNS = {Outcome.SUCCESS: "✅", Outcome.PARTIAL: "☑️", Outcome.FAILURE: "⚠️", Outcome.CANCELLED: "✖"}
_DIGITS = 18
"""What fits into the database's integers."""
_MAX_WORDS = 38
"""Bytes of a search that fit into a button's data beside the rest."""
_ONLY_FAILED = "f"
"""The verb of a page on which only that stands."""


class HistoryPages:
    """Theirs alone: every look-up is by the asker's account."""

    def __init__(self, *, histories: Histories, cards: ChatCards, attendant: Attendant, outbox: Outbox, bot_id: int) -> None:
        self._histories, self._cards, self._attendant = histories, cards, attendant
        self._outbox, self._bot_id = outbox, bot_id
        self._presses = Presses()

    async def show(self, message: Message, visit: Visit) -> None:
        said = (message.text or "").split()[1:]
        only_failed = bool(said) and said[0].casefold() in {texts.history_failed_word for texts in LANGUAGES.values()}
        view = await self._view(visit, _fitting(" ".join(said[only_failed:])), 0, only_failed=only_failed)
        await self._outbox.say(visit.place, view.text, keyboard=view.keyboard)

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> str | None:
        """Another page (`history|8||cats`, `history|0|f|cats`), or an entry to send again (`history|17|send`)."""
        if not (key.id.isascii() and key.id.isdigit() and len(key.id) <= _DIGITS):
            raise CardGone
        if key.verb == "send":
            self._presses.once(f"{visit.member.account.id}:{key.id}")
            return await self._send(visit, int(key.id), f"query:{query.id}")
        view = await self._view(visit, key.argument, int(key.id), only_failed=key.verb == _ONLY_FAILED)
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

    async def _view(self, visit: Visit, words: str, skip: int, *, only_failed: bool) -> View:
        account = visit.member.account
        page = await self._histories.page(account.id, words=words.split(), only_failed=only_failed, skip=skip, limit=A_PAGE)
        texts, other = visit.texts, _other(visit, words, only_failed=only_failed)
        if not page.entries:
            none = texts.history_failed_none if only_failed else texts.history_empty
            return View(
                texts.history_none.format(words=wording.escaped(words)) if words else none, keyboard([other] if only_failed else [])
            )
        titles = [texts.history_failed] if only_failed else []
        titles += [texts.history_search.format(words=wording.escaped(words))] if words else []
        numbered = list(enumerate(page.entries, page.skip + 1))
        lines = [" · ".join(titles) or texts.history_title, "", *(_line(number, entry, texts) for number, entry in numbered)]
        last = page.skip + len(page.entries)
        lines += ["", texts.page.format(first=page.skip + 1, last=last, count=page.count)]
        again = [button(f"📨 {number}", Key(KIND, str(entry.id), "send")) for number, entry in numbered]
        verb = _ONLY_FAILED if only_failed else ""
        return View("\n".join(lines), keyboard(*rows(again, 4), _turns(page, Key(KIND, "", verb, words), visit), [other]))


def _other(visit: Visit, words: str, *, only_failed: bool) -> InlineKeyboardButton:
    """From all to what failed, or back."""
    if only_failed:
        return button(visit.texts.history_everything, Key(KIND, "0", "", words))
    return button(visit.texts.history_failed_only, Key(KIND, "0", _ONLY_FAILED, words))


def _turns(page: HistoryPage, key: Key, visit: Visit) -> list[InlineKeyboardButton]:
    """`key` is of such a page, whichever it is."""
    turns = []
    if page.skip > 0:
        turns.append(button(visit.texts.newer, replace(key, id=str(max(0, page.skip - A_PAGE)))))
    if page.skip + len(page.entries) < page.count:
        turns.append(button(visit.texts.older, replace(key, id=str(page.skip + A_PAGE))))
    return turns


def _line(number: int, entry: HistoryEntry, texts: Texts) -> str:
    """Its title, of a list how much of it came, what started it, and when it ended."""
    title = wording.escaped(entry.title or entry.url, 70)
    counts = [f"{entry.items_done}/{entry.items}"] if entry.items > 1 else []
    return " · ".join([f"{number}. {_SIGNS[entry.outcome]} {title}", *counts, _cause(entry, texts), f"{entry.ended_at:%d.%m.}"])


def _cause(entry: HistoryEntry, texts: Texts) -> str:
    if entry.link_name:
        return f"👁 {wording.escaped(entry.link_name, 40)}"
    causes = {
        Origin.CHAT: texts.history_from_chat,
        Origin.API: texts.history_from_api,
        Origin.LINK: texts.history_from_link,
        Origin.SOURCE: texts.history_from_source,
        Origin.CLI: texts.history_from_cli,
    }
    return causes[entry.origin]


def _fitting(words: str) -> str:
    return words.encode()[:_MAX_WORDS].decode(errors="ignore").replace("|", " ").strip()
