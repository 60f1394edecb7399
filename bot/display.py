"""A card as the chat sees it: our message, made to look as the card is."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from bot import wording
from bot.cards import Situation, View, view_of
from bot.identity import texts_for
from bot.lanes import Lane
from bot.outbox import Lost, MessageGone, NotAccepted, Outbox
from bot.problems import QUOTAS
from service.cards import ChatCards
from service.chat import MAX_TRIES, Card, CardState, DeliveryState, Member
from service.deliveries import Deliveries
from service.descriptions import DescriptionKind
from service.downloads import Downloads
from service.errors import JobNotFound
from service.limits import Quotas
from service.model import Job, JobStatus
from service.ports import Database

log = logging.getLogger("magpie.cards")


@dataclass(slots=True, eq=False)
class Looks:
    """What is to be seen of one card, and which of its menus is open."""

    shown: View | None = None
    card: Card | None = None
    """As it was when it was shown."""
    menu: str = ""
    is_unseen: bool = False
    """Our message was deleted, or the bot was blocked: nobody sees it move."""
    lost: View | None = None
    lost_times: int = 0
    """How often nobody knows whether the message with the looks `lost` arrived."""

    def may_be_there(self, view: View) -> bool:
        """Whether it was sent so often without an answer that it is not sent again by itself."""
        return view == self.lost and self.lost_times >= MAX_TRIES

    def was_lost(self, view: View) -> None:
        self.lost_times = self.lost_times + 1 if view == self.lost else 1
        self.lost = view


class Display:
    """One bot's. `quotas` tells when what was refused for the time being may be asked for again."""

    def __init__(
        self, *, cards: ChatCards, deliveries: Deliveries, downloads: Downloads, database: Database, outbox: Outbox, quotas: Quotas
    ) -> None:
        self._cards, self._deliveries, self._downloads = cards, deliveries, downloads
        self._database, self._outbox, self._quotas = database, outbox, quotas

    async def show(
        self, card: Card, member: Member, looks: Looks, *, job: Job | None = None, lane: Lane = Lane.TEXT, anew: bool = False
    ) -> Card:
        """Make our message look as the card is; a new message where there is none, or no longer.

        With `anew`, a message at the end of the chat takes the place of the old one: it notifies.
        """
        looks.card = await self._shown(card, member, looks, job=job, lane=lane, anew=anew)
        return looks.card

    async def take_away(self, looks: Looks) -> None:
        """Our message goes: nobody is left whose card it is."""
        if looks.card is not None and looks.card.message_id is not None:
            await self._outbox.delete(looks.card.place, looks.card.message_id)

    async def _shown(self, card: Card, member: Member, looks: Looks, *, job: Job | None, lane: Lane, anew: bool) -> Card:
        view = view_of(card, await self._situation(card, member, looks, job))
        if anew:
            return await self._in_place_of(card, view, looks)
        if (view == looks.shown and card.message_id is not None) or (looks.is_unseen and lane is Lane.PROGRESS):
            return card
        if card.message_id is not None:
            try:
                await self._change(card, view, lane)
            except MessageGone:
                looks.is_unseen = True
                if lane is Lane.PROGRESS:
                    return card
                card = await self._cards.shown(card, None)
        if card.message_id is None:
            return await self._first(card, view, looks)
        looks.shown = view
        return card

    async def _in_place_of(self, old: Card, view: View, looks: Looks) -> Card:
        """The old message is made to look so too: it may stay, when an answer is lost or the service dies before it goes."""
        if old.message_id is not None and looks.shown != view:
            with suppress(MessageGone):
                await self._change(old, view)
        card = await self._first(old, view, looks)
        if old.message_id is not None and old.message_id != card.message_id:
            await self._outbox.delete(old.place, old.message_id)
        return card

    async def _change(self, card: Card, view: View, lane: Lane = Lane.TEXT) -> None:
        """Raises `MessageGone`."""
        assert card.message_id is not None

        async def edit(text: str) -> None:
            assert card.message_id is not None
            await self._outbox.edit(card.place, card.message_id, text, keyboard=view.keyboard, is_caption=card.has_media, lane=lane)

        try:
            await edit(view.text)
        except NotAccepted:
            log.warning("a card's new looks were not accepted, it is shown plainly")
            with suppress(NotAccepted):
                await edit(wording.plain(view.text))

    async def _first(self, card: Card, view: View, looks: Looks) -> Card:
        """A new message. It may arrive more than once when answers are lost, but not for ever."""
        if looks.may_be_there(view):
            return card
        try:
            card = await self._send(card, view)
        except Lost:
            looks.was_lost(view)
            raise
        looks.shown, looks.is_unseen = view, False
        return card

    async def _send(self, card: Card, view: View) -> Card:
        picture = card.description.picture if card.description else None
        if picture is not None and len(view.text) <= 1000:  # noqa: PLR2004 - Telegram's limit for captions is 1,024
            try:
                sent = await self._outbox.show_picture(card.place, picture, view.text, keyboard=view.keyboard, reply_to=card.request_id)
                return await self._cards.shown(card, sent.message_id, has_media=True)
            except NotAccepted:
                log.info("Telegram does not take the picture of a card")
        try:
            sent = await self._outbox.say(card.place, view.text, keyboard=view.keyboard, reply_to=card.request_id)
        except NotAccepted:
            log.warning("a card's looks were not accepted, it is shown plainly")
            sent = await self._outbox.say(card.place, wording.plain(view.text), keyboard=view.keyboard, reply_to=card.request_id)
        return await self._cards.shown(card, sent.message_id, has_media=False)

    async def _situation(self, card: Card, member: Member, looks: Looks, job: Job | None) -> Situation:
        if job is None and card.job_id is not None:
            with suppress(JobNotFound):
                job = await self._downloads.get(card.job_id)
        ahead = await self._downloads.ahead_of(job) if job is not None and job.status is JobStatus.PENDING else None
        told = card.description
        had: set[str] = set()
        if card.state is CardState.OFFERED and told is not None and told.kind is DescriptionKind.MEDIUM:
            async with self._database.read() as transaction:
                had = await transaction.media_files.had_by(member.account.id, told.extractor, told.id)
        return Situation(
            texts=texts_for(member),
            preferences=member.preferences,
            upload_limit=self._cards.policy.upload_limit,
            job=job,
            ahead=ahead,
            children=tuple(await self._children(job)) if job is not None and job.is_list else (),
            arrived=await self._arrived(card) if job is not None and job.is_list else 0,
            had=frozenset(had),
            menu=looks.menu,
            opens_in=await self._opens_in(card, member),
        )

    async def _opens_in(self, card: Card, member: Member) -> timedelta | None:
        if card.state is not CardState.FAILED or card.error_code not in QUOTAS:
            return None
        async with self._database.read() as transaction:
            return await self._quotas.opens_in(transaction, member.account)

    async def _arrived(self, card: Card) -> int:
        return sum(one.state is DeliveryState.DELIVERED for one in await self._deliveries.of_card(card.id))

    async def _children(self, job: Job) -> list[Job]:
        async with self._database.read() as transaction:
            return await transaction.jobs.children_of(job.id)
