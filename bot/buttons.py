"""The buttons under our messages: each press is answered, whatever became of what it belongs to."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from telegram import CallbackQuery

from bot.attendant import Attendant
from bot.identity import Visit
from bot.keys import Key, Verb
from bot.links import LinksPage
from bot.outbox import Outbox
from bot.presses import Presses
from bot.problems import notice_of
from bot.wording import escaped
from service.cards import ChatCards
from service.chat import Card, CardState
from service.choices import lower_than
from service.deliveries import Deliveries
from service.descriptions import Description
from service.downloads import Downloads
from service.errors import AlreadyChosen, CardGone, InvalidInput, JobNotFound, MagpieError, SameLink
from service.model import JobStatus
from service.selection import MediaType, Selection

log = logging.getLogger("magpie.bot")
Page = Callable[[CallbackQuery, Visit, Key], Awaitable[str | None]]
"""Handles a press on a page's button; returns what the press is answered with."""


class Buttons:
    """`pages` are the kinds of keys besides `card`."""

    def __init__(
        self,
        *,
        cards: ChatCards,
        deliveries: Deliveries,
        downloads: Downloads,
        attendant: Attendant,
        outbox: Outbox,
        pages: dict[str, Page],
        watched: LinksPage,
        bot_id: int,
    ) -> None:
        self._cards, self._deliveries, self._downloads = cards, deliveries, downloads
        self._attendant, self._outbox, self._pages, self._bot_id = attendant, outbox, pages, bot_id
        self._watched, self._presses = watched, Presses()
        self._verbs: dict[str, Callable[[Card, Visit, str], Awaitable[str | None]]] = {
            Verb.PICK: self._pick,
            Verb.SELECTION: self._selection,
            Verb.SUBTITLES: self._subtitles,
            Verb.LANGUAGE: self._language,
            Verb.RANGE: self._range,
            Verb.CANCEL: self._cancel,
            Verb.WAIT: self._wait,
            Verb.BACK: self._back,
            Verb.AGAIN: self._again,
            Verb.LOWER: self._lower,
            Verb.OTHER: self._other,
            Verb.SEND: self._send,
            Verb.WATCH: self._watch,
        }

    async def pressed(self, query: CallbackQuery, visit: Visit) -> None:
        key = Key.read(query.data or "")
        try:
            if key.kind == "card":
                said = await self._on_card(key, visit, query.id)
            elif key.kind in self._pages:
                said = await self._pages[key.kind](query, visit, key)
            else:
                raise CardGone
        except MagpieError as refused:
            await self._outbox.answer(query.id, notice_of(refused, visit.texts), alert=not isinstance(refused, AlreadyChosen))
            return
        await self._outbox.answer(query.id, said)

    async def _on_card(self, key: Key, visit: Visit, query_id: str) -> str | None:
        card = await self._cards.find(key.id, account_id=visit.member.account.id, bot_id=self._bot_id)
        verb = self._verbs.get(key.verb)
        if verb is None:
            raise CardGone
        if key.verb == Verb.OTHER:
            self._presses.once(card.id)
            return await verb(card, visit, f"query:{query_id}")
        return await verb(card, visit, key.argument)

    # --- choosing -----------------------------------------------------------------------------------------------------

    async def _pick(self, card: Card, visit: Visit, argument: str) -> str | None:
        told = _told(card)
        number = _number(argument, len(told.choices))
        return await self._choose(card, visit, told.choices[number].selection)

    async def _selection(self, card: Card, visit: Visit, argument: str) -> str | None:
        try:
            media_type, form, quality = argument.split(":")
            return await self._choose(card, visit, Selection.of(media_type, form, quality))
        except ValueError:
            raise CardGone from None

    async def _language(self, card: Card, visit: Visit, argument: str) -> str | None:
        told = _told(card)
        language = told.languages[_number(argument, len(told.languages))]
        return await self._choose(card, visit, Selection.of(MediaType.TRANSCRIPT, "srt", language=language))

    async def _choose(self, card: Card, visit: Visit, selection: Selection) -> str | None:
        await self._cards.choose(card, visit.member, selection)
        self._attendant.attend(card.id)
        return visit.texts.starting

    async def _lower(self, card: Card, visit: Visit, argument: str) -> str | None:
        del argument
        if card.job_id is None or card.description is None:
            raise CardGone
        job = await self._downloads.get(card.job_id)
        lower = lower_than(card.description, job.selection)
        if lower is None:
            raise CardGone
        return await self._choose(card, visit, lower)

    # --- menus --------------------------------------------------------------------------------------------------------

    async def _subtitles(self, card: Card, visit: Visit, argument: str) -> str | None:
        del argument
        told = _told(card)
        if len(told.languages) == 1:
            return await self._language(card, visit, "0")
        await self._waits(card)
        self._attendant.attend(card.id, menu=Verb.SUBTITLES)
        return None

    async def _back(self, card: Card, visit: Visit, argument: str) -> None:
        del visit, argument
        await self._waits(card)
        self._attendant.attend(card.id)

    async def _wait(self, card: Card, visit: Visit, argument: str) -> str | None:
        del argument
        await self._waits(card)
        self._attendant.attend(card.id)
        return visit.texts.choose

    async def _waits(self, card: Card) -> None:
        if card.state is not CardState.OFFERED or (await self._cards.stay(card)).state is not CardState.OFFERED:
            raise AlreadyChosen

    async def _range(self, card: Card, visit: Visit, argument: str) -> str | None:
        first, _, last = argument.partition("-")
        if card.state is not CardState.OFFERED:
            raise AlreadyChosen
        try:
            taken = await self._cards.take(card, int(first), int(last))
        except (ValueError, InvalidInput):
            raise CardGone from None
        self._attendant.attend(card.id)
        return visit.texts.range_chosen.format(first=taken.range_from, last=taken.range_to)

    async def _watch(self, card: Card, visit: Visit, argument: str) -> str | None:
        """The card stays as it is: its items may be wanted besides."""
        del argument
        try:
            link = await self._watched.watch(visit, card.url, _told(card).title)
        except SameLink:
            return visit.texts.watched_already
        await self._waits(card)
        said = visit.texts.watching.format(name=escaped(link.name, 60))
        await self._outbox.say(visit.place, said)
        return None

    # --- afterwards ---------------------------------------------------------------------------------------------------

    async def _cancel(self, card: Card, visit: Visit, argument: str) -> str | None:
        del argument
        if not await self.stop(card):
            return visit.texts.nothing_to_stop
        return visit.texts.stopping

    async def stop(self, card: Card) -> bool:
        """End whatever the card is at: the look, the job, the upload. False when it was over."""
        try:
            card = await self._cards.cancel(card)
        except AlreadyChosen:
            if card.state is not CardState.ORDERED:
                return False
        await self._deliveries.stop(card)
        await self._attendant.stop_delivery(card.id)
        self._attendant.attend(card.id)
        return True

    async def _again(self, card: Card, visit: Visit, argument: str) -> str | None:
        del argument
        if card.job_id is not None:
            try:
                job = await self._downloads.get(card.job_id)
            except JobNotFound:
                raise CardGone from None
            if job.status is JobStatus.COMPLETED and not job.is_list:
                if card.error_code == "file_gone":
                    return await self._choose(card, visit, job.selection)
                return await self._send(card, visit, "")
        await self._cards.again(card)
        self._attendant.attend(card.id)
        return visit.texts.starting

    async def _send(self, card: Card, visit: Visit, argument: str) -> str | None:
        del argument
        if not await self._deliveries.send_again(card):
            raise AlreadyChosen
        self._attendant.attend(card.id)
        return visit.texts.starting

    async def _other(self, card: Card, visit: Visit, cause: str) -> None:
        del visit
        again = await self._cards.open_again(card, cause)
        self._attendant.attend(again.id)


def _told(card: Card) -> Description:
    if card.description is None:
        raise CardGone
    return card.description


def _number(text: str, below: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= below:
        raise CardGone
    return int(text)
