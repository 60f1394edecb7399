"""An address in a chat becomes a card: looked at, offered, ordered, followed until its files have arrived."""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from service.chat import START_DELAY, Card, CardState, Delivery, DeliveryState, Member, Place
from service.choices import default_of, part_of, remembered
from service.cookies import cookies_for
from service.descriptions import Description, DescriptionKind, ListItem
from service.downloads import Downloads, Order
from service.errors import (
    AlreadyChosen,
    Blocked,
    CardGone,
    FetchFailed,
    InvalidInput,
    JobNotFound,
    JobNotLive,
    JobNotRetryable,
    NotYours,
)
from service.media_url import MediaUrl
from service.model import PUBLIC, Job, Origin
from service.ports import Clock, Database, Transaction
from service.selection import Clip, MediaType, Selection

log = logging.getLogger("magpie.cards")


class Describes(Protocol):
    """The part of a fetcher that cards need."""

    async def describe(self, url: MediaUrl, trust_class: str = PUBLIC, cookies: str | None = None) -> Description: ...
    async def check_address(self, url: MediaUrl) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """An address that somebody sent, and the part of it that they want."""

    url: MediaUrl
    clip: Clip | None = None
    items: tuple[int, int] | None = None
    """`3-7`: a clip in seconds, unless it stands behind a list's address: then its items, counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message that asked for something."""

    bot_id: int
    place: Place
    message_id: int | None
    cause: str | None = None
    """Where no message asked: what did, such as the press of a button. The same cause again, as after a crash, adds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPolicy:
    """`upload_limit` in bytes: what the bot may send itself."""

    upload_limit: int = 50 * 10**6
    max_items: int = 200
    start_delay: timedelta = START_DELAY


class ChatCards:
    """The use cases behind a card's buttons. Whoever is not the card's asker gets `NotYours`."""

    def __init__(self, *, database: Database, downloads: Downloads, describes: Describes, clock: Clock, policy: CardPolicy) -> None:
        self._database, self._downloads, self._describes = database, downloads, describes
        self._clock, self.policy = clock, policy

    # --- a card begins ----------------------------------------------------------------------------------------------

    async def open(self, member: Member, request: Request, finds: Sequence[Find], *, asks: bool = False) -> list[Card]:
        """A card for each address. The same message asking again, as after a crash, gets the cards it has."""
        cards = [replace(self._card(member, request, position, find), asks=asks) for position, find in enumerate(finds)]
        return await self._added(cards, request)

    async def open_batch(self, member: Member, request: Request, finds: Sequence[Find]) -> Card:
        """One card for many addresses: a list to choose a range of."""
        items = tuple(ListItem(url=find.url) for find in finds[: self.policy.max_items])
        told = Description(
            kind=DescriptionKind.LIST,
            extractor="",
            id="",
            title=items[0].url.host,
            items=items,
            count=len(finds),
        )
        card = self._card(member, request, 0, Find(url=finds[0].url)).described(told, None)
        return (await self._added([card], request))[0]

    async def open_again(self, card: Card, cause: str) -> Card:
        """Another card about the same: for another format. It waits for a choice. The same cause gets the card that it has."""
        again = replace(
            card,
            id=card_id_of(card.bot_id, cause),
            request_id=None,
            position=0,
            message_id=None,
            asks=True,
            has_media=False,
            state=CardState.OFFERED if card.description else CardState.LOOKING,
            starts_at=None,
            job_id=None,
            error_code=None,
            created_at=self._clock.now(),
        )
        async with self._database.write() as transaction:
            if await transaction.cards.add(again):
                return again
            return await transaction.cards.get(again.id) or again

    async def open_for(self, member: Member, request: Request, url: MediaUrl, job_id: UUID) -> Card:
        """A card for what a job left already: its files are on their way with it. The same cause gets the card that it has."""
        card = replace(self._card(member, request, 0, Find(url=url)), state=CardState.ORDERED, job_id=job_id)
        async with self._database.write() as transaction:
            job = await transaction.jobs.get(job_id)
            if job is None or job.account_id != member.account.id:
                raise JobNotFound
            if not await transaction.cards.add(card):
                return await transaction.cards.get(card.id) or card
            await self._deliver_with(transaction, card, job)
        return card

    def _card(self, member: Member, request: Request, position: int, find: Find) -> Card:
        return Card(
            id=new_card_id() if request.cause is None else card_id_of(request.bot_id, request.cause),
            bot_id=request.bot_id,
            account_id=member.account.id,
            asker_id=member.user.id,
            place=request.place,
            request_id=request.message_id,
            position=position,
            url=find.url,
            clip=find.clip,
            range_from=find.items[0] if find.items else 1,
            range_to=find.items[1] if find.items else None,
            created_at=self._clock.now(),
        )

    async def _added(self, cards: Sequence[Card], request: Request) -> list[Card]:
        async with self._database.write() as transaction:
            for card in cards:
                await transaction.cards.add(card)
            if request.message_id is None:
                return [await transaction.cards.get(card.id) or card for card in cards]
            return await transaction.cards.of_message(request.bot_id, request.place.chat_id, request.message_id)

    # --- looking ----------------------------------------------------------------------------------------------------

    async def order_stored(self, card: Card, member: Member) -> Card | None:
        """The card ordered, when what would start by itself is in the store already: its job is over at once."""
        selection = await self._stored_default(card, member)
        if selection is None:
            return None
        return (await self._order(card, member, selection, remember=False))[0]

    async def _stored_default(self, card: Card, member: Member) -> Selection | None:
        if card.asks or card.url.is_secret or card.clip or not member.preferences.starts_by_itself:
            return None
        async with self._database.read() as transaction:
            told = await transaction.cards.told_of(card.url)
            if told is not None and (told.is_generic or told.kind is not DescriptionKind.MEDIUM):
                return None
            selection = default_of(told, member.preferences, self.policy.upload_limit) if told else Selection.of(MediaType.VIDEO)
            if selection is None:
                return None
            key = await transaction.media_files.key_of(card.url, PUBLIC, selection)
            files = await transaction.media_files.under(key) if key else []
        fits = bool(files) and files[0].key.extractor != "generic" and files[0].size <= self.policy.upload_limit
        return selection if fits else None

    async def look(self, card: Card, member: Member) -> Card:
        """Find out what is there: `offered`, or `failed` with the cause. As it is now, when somebody else was faster."""
        try:
            await self._describes.check_address(card.url)
            async with self._database.read() as transaction:
                cookies = await cookies_for(transaction, card.account_id, card.url)
            told = await self._describes.describe(card.url, _trust_class(card, has_cookies=cookies is not None), cookies)
        except (FetchFailed, InvalidInput) as wrong:
            log.info("nothing to offer", extra={"url": card.url.shown, "code": wrong.code})
            return await self._save(card, card.failed(wrong.code))
        starts_at = None
        starts = member.preferences.starts_by_itself and not card.asks
        if starts and default_of(part_of(told, card.clip), member.preferences, self.policy.upload_limit):
            starts_at = self._clock.now() + self.policy.start_delay
        return await self._save(card, _ranged(card.described(_bounded(told, self.policy.max_items), starts_at)))

    async def failed(self, card: Card) -> Card:
        """Something unexpected: said plainly, once."""
        return await self._save(card, card.failed("error"))

    # --- choosing ---------------------------------------------------------------------------------------------------

    async def start_default(self, card: Card, member: Member) -> Card:
        """What starts by itself. Raises `Blocked`, what `Downloads.submit` raises, and `AlreadyChosen` when a button was faster."""
        assert card.description is not None
        selection = default_of(part_of(card.description, card.clip), member.preferences, self.policy.upload_limit)
        assert selection is not None
        return (await self._order(card, member, selection, remember=False))[0]

    async def choose(self, card: Card, member: Member, selection: Selection) -> Card:
        """Order it. Raises `AlreadyChosen` on a second press, `Blocked`, and what `Downloads.submit` raises."""
        if card.state not in {CardState.OFFERED, CardState.FAILED}:
            raise AlreadyChosen
        return (await self._order(card, member, selection, remember=True))[0]

    async def stay(self, card: Card) -> Card:
        """It starts by itself no longer."""
        return await self._save(card, card.waits_for_a_choice())

    async def take(self, card: Card, first: int, last: int | None) -> Card:
        """Which items of a list are meant, counted from 1. Raises `InvalidInput`."""
        assert card.description is not None
        count = len(card.description.items)
        end = count if last is None else min(last, count)
        if not 1 <= first <= end:
            raise InvalidInput(f"Choose a range from 1 to {count}.")
        return await self._save(card, replace(card, range_from=first, range_to=end))

    async def _order(self, card: Card, member: Member, selection: Selection, *, remember: bool) -> tuple[Card, Job]:
        if card.state is CardState.ORDERED:
            raise AlreadyChosen
        told = card.description
        full = replace(selection, clip=card.clip) if card.clip and selection.media_type in {MediaType.AUDIO, MediaType.VIDEO} else selection
        order = Order(
            url=card.url,
            selection=full,
            origin=Origin.CHAT,
            account_id=member.account.id,
            download_session_id=member.user.download_session_id,
        )
        is_habit = remember and told is not None and told.kind is DescriptionKind.MEDIUM and _is_habit(selection)
        also = self._also(card, member, remembered(selection, told) if told and is_habit else None)
        if told is not None and told.kind is DescriptionKind.LIST:
            items = told.items[card.range_from - 1 : card.range_to]
            job = await self._downloads.submit_list(order, told.title, items, also)
        else:
            job, _ = await self._downloads.submit(order, also=also)
        return card.ordered(job.id), job

    def _also(self, card: Card, member: Member, habit: Selection | None) -> Callable[[Transaction, Job], Awaitable[None]]:
        async def also(transaction: Transaction, job: Job) -> None:
            account = await transaction.accounts.get(member.account.id)
            if account is None or not account.is_active:  # since whoever asked was let in
                raise Blocked
            if not await transaction.cards.save(card.ordered(job.id), if_state=card.state):
                raise AlreadyChosen
            await self._deliver_with(transaction, card, job)
            if habit is not None:
                await transaction.preferences.put(member.account.id, replace(member.preferences, selection=habit))

        return also

    async def _deliver_with(self, transaction: Transaction, card: Card, job: Job) -> None:
        jobs = await transaction.jobs.children_of(job.id) if job.is_list else [job]
        for one in jobs:
            await transaction.deliveries.add(Delivery(card_id=card.id, job_id=one.id, created_at=self._clock.now()))

    # --- afterwards -------------------------------------------------------------------------------------------------

    async def cancel(self, card: Card) -> Card:
        """Whatever it is at. Raises `AlreadyChosen` when there is nothing left to stop."""
        while True:
            if not card.state.is_open:
                raise AlreadyChosen
            if card.state is CardState.ORDERED and card.job_id is not None and not await self._is_wanted_elsewhere(card):
                try:
                    await self._downloads.cancel(card.job_id)
                except (JobNotLive, JobNotFound):
                    raise AlreadyChosen from None
            ended = await self._save(card, card.ended(CardState.DISMISSED))
            if not ended.state.is_open:
                return ended
            card = ended  # it started by itself in this moment

    async def _is_wanted_elsewhere(self, card: Card) -> bool:
        """Whether another card waits for the same job: then only this one lets go of it."""
        assert card.job_id is not None
        async with self._database.read() as transaction:
            cards = await transaction.cards.of_job(card.job_id)
        return any(other.id != card.id and other.state is CardState.ORDERED for other in cards)

    async def again(self, card: Card) -> Card:
        """Try what failed, or was stopped, once more: from the look or from the job, whichever it was.

        Raises `AlreadyChosen`, and what `Downloads.retry` raises: then the card is as it was.
        """
        if card.state.is_open:
            raise AlreadyChosen
        if card.job_id is None:
            return await self._save(card, card.waits_for_a_choice() if card.description else card.looks_again())
        ordered = card.ordered(card.job_id)

        async def follow_again(transaction: Transaction, job: Job) -> None:
            del job
            if not await transaction.cards.save(ordered, if_state=card.state):
                raise AlreadyChosen
            for delivery in await transaction.deliveries.of_card(card.id):
                if delivery.state is DeliveryState.FAILED:  # stopped, say
                    await transaction.deliveries.save(delivery.anew(), if_state=delivery.state)

        try:
            await self._downloads.retry(card.job_id, follow_again)
        except JobNotRetryable:  # it is under way for another card, or all of it is there and only has to be sent
            job = await self._downloads.get(card.job_id)
            async with self._database.write() as transaction:
                await follow_again(transaction, job)
        return ordered

    async def ended(self, card: Card, state: CardState, error_code: str | None = None) -> Card:
        """The card after its job, or its files, came to an end."""
        return await self._save(card, replace(card.ended(state), error_code=error_code))

    async def settled(self, card: Card) -> None:
        """The chat has seen how it ended."""
        async with self._database.write() as transaction:
            await transaction.cards.settle(card.id, if_state=card.state)

    async def find(self, card_id: str, *, account_id: int, bot_id: int) -> Card:
        """Raises `CardGone`, `NotYours`."""
        async with self._database.read() as transaction:
            card = await transaction.cards.get(card_id)
        if card is None or card.bot_id != bot_id:
            raise CardGone
        if card.account_id != account_id:
            raise NotYours
        return card

    async def get(self, card_id: str) -> Card | None:
        async with self._database.read() as transaction:
            return await transaction.cards.get(card_id)

    async def shown_as(self, bot_id: int, chat_id: int, message_id: int) -> Card | None:
        """The card that this message of ours is."""
        async with self._database.read() as transaction:
            return await transaction.cards.shown_as(bot_id, chat_id, message_id)

    async def unfinished(self, bot_id: int) -> list[Card]:
        """What a restart has to go on with."""
        async with self._database.read() as transaction:
            return [*await transaction.cards.open(bot_id), *await transaction.cards.unsettled(bot_id)]

    async def open_of(self, account_id: int, chat_id: int | None = None) -> list[Card]:
        async with self._database.read() as transaction:
            return await transaction.cards.open_of(account_id, chat_id)

    async def shown(self, card: Card, message_id: int | None, *, has_media: bool = False) -> Card:
        """Which message of ours it is."""
        async with self._database.write() as transaction:
            await transaction.cards.shown(card.id, message_id, has_media=has_media)
        return replace(card, message_id=message_id, has_media=has_media)

    async def _save(self, card: Card, changed: Card) -> Card:
        """As it is in the database afterwards."""
        if await self._saved(card, changed):
            return changed
        return await self.get(card.id) or card

    async def _saved(self, card: Card, changed: Card) -> bool:
        async with self._database.write() as transaction:
            return await transaction.cards.save(changed, if_state=card.state)


def card_id_of(bot_id: int, cause: str) -> str:
    """The same for the same cause."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"{bot_id}:{cause}".encode()).digest()[:9]).decode()


def new_card_id() -> str:
    """72 random bits."""
    return secrets.token_urlsafe(9)


def _trust_class(card: Card, *, has_cookies: bool) -> str:
    """As a job's: what an address with a credential, or somebody's cookies, leads to is nobody else's."""
    return f"account:{card.account_id}" if card.url.is_secret or has_cookies else PUBLIC


def _bounded(told: Description, max_items: int) -> Description:
    return replace(told, items=told.items[:max_items]) if len(told.items) > max_items else told


def _ranged(card: Card) -> Card:
    """With two plain numbers read as what they mean: items of a list, seconds of anything else."""
    assert card.description is not None
    whole = replace(card, range_from=1, range_to=None)
    if card.description.kind is not DescriptionKind.LIST:
        return whole
    if card.range_to is None:
        return card
    count = len(card.description.items)
    return replace(card if card.range_from <= count else whole, clip=None, range_to=min(card.range_to, count))


def _is_habit(selection: Selection) -> bool:
    """Subtitles and pictures are no way to want everything."""
    return selection.media_type in {MediaType.AUDIO, MediaType.VIDEO}
