"""Looks after each open card until nothing more is to happen to it: look, offer, start, follow, deliver.

A card's state is in the database, and each step is taken from there: after a restart every open card is simply attended again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from bot.delivery import Courier
from bot.display import Display, Looks
from bot.endings import Endings
from bot.identity import texts_for
from bot.lanes import Lane
from bot.outbox import ChatGone, Lost, MessageGone, NotAccepted, NotReached, Outbox
from bot.patience import Patience
from service.cards import ChatCards
from service.chat import Card, CardState, Member
from service.deliveries import Deliveries
from service.downloads import Downloads
from service.errors import AlreadyChosen, Blocked, Conflict, JobNotFound, LimitReached, MagpieError, Unavailable
from service.limits import Quotas
from service.members import Members
from service.model import Job, JobStatus
from service.ports import Clock, Database, JobEvents

log = logging.getLogger("magpie.cards")
LOOKS_AT_ONCE = 4
FIRST_SIGHT = 0.8
"""Seconds that a job is given to be over before its progress is shown at all."""
LOOK_AGAIN = 5.0
"""Seconds after which a job's row is read again without news: it may run in another process."""
MIN_GAP = 1.0
"""Seconds between two looks at a job's progress; the rate limiter spaces the edits further."""
LIST_GAP = 6.0
"""Seconds between two looks at a list's progress while its files go out."""


@dataclass(slots=True, eq=False)
class _Watch:
    """What is new about one card."""

    task: asyncio.Task[None] | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)
    newest: Job | None = None
    """As last heard of: a running job's row follows a little later."""
    looks: Looks = field(default_factory=Looks)
    delivering: asyncio.Task[None] | None = None
    ends_now: bool = False
    """Its end is news: whoever has waited for long is told by a message that notifies."""


class Attendant:
    """One task for each card that something is still to happen to."""

    def __init__(
        self,
        *,
        cards: ChatCards,
        deliveries: Deliveries,
        downloads: Downloads,
        database: Database,
        members: Members,
        courier: Courier,
        outbox: Outbox,
        events: JobEvents,
        clock: Clock,
        quotas: Quotas,
    ) -> None:
        self._cards, self._deliveries, self._downloads = cards, deliveries, downloads
        self._members, self._courier, self._outbox, self._events, self._clock = members, courier, outbox, events, clock
        self._display = Display(cards=cards, deliveries=deliveries, downloads=downloads, database=database, outbox=outbox, quotas=quotas)
        self._endings = Endings(deliveries=deliveries, downloads=downloads, database=database)
        self._watches: dict[str, _Watch] = {}
        self._followed: dict[UUID, set[str]] = {}
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._stopping = False
        self._end_events = events.subscribe(self._job_changed)

    # --- from outside -------------------------------------------------------------------------------------------------

    def attend(self, card_id: str, *, menu: str = "") -> None:
        """Begin to look after the card, or look again at once."""
        watch = self._watches.setdefault(card_id, _Watch())
        watch.looks.menu = menu
        if watch.task is None and not self._stopping:
            watch.task = asyncio.create_task(self._attend(card_id, watch), name=f"card {card_id}")
        watch.news.set()

    async def leave(self, card_id: str) -> None:
        """Look after it no longer: it is about to be deleted."""
        watch = self._watches.get(card_id)
        if watch is not None and watch.task is not None:
            watch.news.clear()
            watch.task.cancel()
            await asyncio.wait({watch.task})

    async def stop_delivery(self, card_id: str) -> bool:
        """End an upload that is under way. False when there is none."""
        watch = self._watches.get(card_id)
        if watch is None or watch.delivering is None or watch.delivering.done():
            return False
        watch.delivering.cancel()
        await asyncio.wait({watch.delivering})
        return True

    async def resume(self, bot_id: int) -> int:
        """After a start: attend all that is open. Returns how many."""
        cards = await self._cards.unfinished(bot_id)
        for card in cards:
            if card.state is not CardState.OFFERED or card.starts_at is not None or card.message_id is None:
                self.attend(card.id)
                self._watches[card.id].ends_now = not card.state.is_open
        return len(cards)

    async def stop(self) -> None:
        """Let everything go as it is: the next start goes on from there."""
        self._stopping = True
        self._end_events()
        tasks = [watch.task for watch in self._watches.values() if watch.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- one card -----------------------------------------------------------------------------------------------------

    async def _attend(self, card_id: str, watch: _Watch) -> None:
        try:
            patience = Patience()
            while True:
                try:
                    await self._steps(card_id, watch)
                except (NotReached, Lost, Unavailable) as broken:
                    log.warning("Telegram or the database does not answer, the card waits", extra={"cause": type(broken).__name__})
                    await patience.pause()
                    continue
                if not watch.news.is_set():
                    return
        except ChatGone:
            log.info("the chat is gone, its card is left")
            await self._leave(card_id)
        except Exception:
            # The outermost loop of a card: a bug in one must not leave its asker without a word.
            log.exception("a card failed unexpectedly")
            await self._say_that_it_failed(card_id, watch)
        finally:
            self._forget(card_id)

    def _forget(self, card_id: str) -> None:
        watch = self._watches.pop(card_id, None)
        for job_id, followers in list(self._followed.items()):
            followers.discard(card_id)
            if not followers:
                del self._followed[job_id]
        if watch is not None and watch.news.is_set() and not self._stopping:  # pressed while it was ending
            self.attend(card_id, menu=watch.looks.menu)

    async def _leave(self, card_id: str) -> None:
        """What is not ordered yet will not be: nothing is tried again at each start. A job that is ordered goes on."""
        card = await self._cards.get(card_id)
        if card is not None and card.state in {CardState.LOOKING, CardState.OFFERED}:
            card = await self._cards.ended(card, CardState.DISMISSED)
        if card is not None and not card.state.is_open:
            await self._cards.settled(card)

    async def _say_that_it_failed(self, card_id: str, watch: _Watch) -> None:
        present = await self._present(card_id)
        if present is None:
            return
        card, member = present
        with suppress(ChatGone, NotReached, Lost, NotAccepted, MessageGone):
            failed = await self._cards.failed(card)
            await self._display.show(failed, member, watch.looks)
            await self._cards.settled(failed)

    async def _steps(self, card_id: str, watch: _Watch) -> None:
        """From the card's present state until nothing more is to happen by itself."""
        while True:
            watch.news.clear()
            present = await self._present(card_id)
            if present is None:
                await self._display.take_away(watch.looks)
                return
            card, member = present
            if card.state.is_open and not member.account.is_active:
                # A job that runs goes on: what it leaves is there when they are let in again.
                await self._cards.ended(card, CardState.FAILED, Blocked.code)
                continue
            match card.state:
                case CardState.LOOKING:
                    if card.message_id is not None:  # once more
                        await self._display.show(card, member, watch.looks)
                    await self._look(card, member)
                case CardState.OFFERED:
                    if not await self._offer(card, member, watch):
                        return
                case CardState.ORDERED:
                    await self._follow(card, member, watch)
                case _:
                    if not await self._endings.is_file(card):
                        await self._display.show(card, member, watch.looks, anew=watch.ends_now and await self._endings.is_loud(card))
                        watch.ends_now = False
                    await self._cards.settled(card)
                    return

    async def _present(self, card_id: str) -> tuple[Card, Member] | None:
        """As it is by now, and whoever asked. None when the card is gone, or nobody is left of its account."""
        while (card := await self._cards.get(card_id)) is not None:
            member = await self._members.of_account(card.account_id, card.asker_id)
            if member is not None:
                return card, member
            if not await self._has_moved(card):
                return None
        return None

    async def _has_moved(self, card: Card) -> bool:
        """Whether it is another account's by now: whoever asked has joined that one."""
        present = await self._cards.get(card.id)
        return present is not None and present.account_id != card.account_id

    async def _look(self, card: Card, member: Member) -> None:
        try:
            if await self._cards.order_stored(card, member) is not None:
                return
        except (LimitReached, Conflict, Blocked):
            log.info("stored media is not handed out")
        async with self._looks:
            await self._outbox.action(card.place, "typing")
            await self._cards.look(card, member)

    async def _offer(self, card: Card, member: Member, watch: _Watch) -> bool:
        """Show it, wait for a button or for its time, and start it then. False when only a button goes on from here."""
        card = await self._display.show(card, member, watch.looks)
        if card.starts_at is None:
            return watch.news.is_set()
        left = (card.starts_at - self._clock.now()).total_seconds()
        if left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await watch.news.wait()
                    return True
        await self._start(card.id)
        return True

    async def _start(self, card_id: str) -> None:
        """Whoever asked may have joined another account while it waited, or have been blocked: what was read before does not count."""
        present = await self._present(card_id)
        if present is None or present[0].state is not CardState.OFFERED or present[0].starts_at is None:
            return
        card, member = present
        try:
            await self._cards.start_default(card, member)
        except AlreadyChosen:
            log.info("a button was faster than the default")
        except Unavailable:
            raise
        except MagpieError as refused:
            if not await self._has_moved(card):  # else it starts in the account that it belongs to by now
                await self._cards.ended(card, CardState.FAILED, refused.code)

    # --- its job ------------------------------------------------------------------------------------------------------

    def _job_changed(self, job: Job) -> None:
        for card_id in self._followed.get(job.parent_id or job.id, ()):
            watch = self._watches[card_id]
            if job.parent_id is None and (watch.newest is None or watch.newest.id != job.id or job.seq > watch.newest.seq):
                watch.newest = job
            watch.news.set()

    async def _follow(self, card: Card, member: Member, watch: _Watch) -> None:
        if card.job_id is None:  # the job was deleted
            await self._cards.ended(card, CardState.FAILED, "file_gone")
            return
        self._followed.setdefault(card.job_id, set()).add(card.id)
        is_first = True
        while True:
            watch.news.clear()
            try:
                job = await self._downloads.get(card.job_id)
            except JobNotFound:
                await self._cards.ended(card, CardState.FAILED, "file_gone")
                return
            if is_first and job.is_list and job.status.is_live:
                card = await self._show_progress(card, member, watch, job, lane=Lane.TEXT)
                is_first = False
            if job.is_list or job.status is JobStatus.COMPLETED:
                await self._deliver(card, member, watch, job)
            if not job.status.is_live:
                await self._close(card, job)
                watch.ends_now = True
                return
            if not is_first or not await self._news_within(watch, FIRST_SIGHT):
                card = await self._show_progress(card, member, watch, job, lane=Lane.TEXT if is_first else Lane.PROGRESS)
                is_first = False
                await asyncio.sleep(MIN_GAP)
                await self._news_within(watch, LOOK_AGAIN)
            present = await self._present(card.id)
            if present is None or present[0].state is not CardState.ORDERED or not present[1].account.is_active:
                return
            card, member = present

    async def _show_progress(self, card: Card, member: Member, watch: _Watch, job: Job, lane: Lane) -> Card:
        """As far as it was heard of. Whoever blocks the bot meanwhile sees nothing move; whether the file arrives is asked at its end."""
        heard = watch.newest
        newest = heard if heard is not None and heard.id == job.id and heard.seq > job.seq else job
        try:
            return await self._display.show(card, member, watch.looks, job=newest, lane=lane)
        except ChatGone:
            watch.looks.is_unseen = True
        except (NotReached, Lost):
            if lane is not Lane.PROGRESS:
                raise
            log.info("progress was not shown")
        return card

    async def _news_within(self, watch: _Watch, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await watch.news.wait()
        except TimeoutError:
            return False
        return True

    async def _close(self, card: Card, job: Job) -> None:
        """The card after its job's end; what could not be delivered is said."""
        if job.status is JobStatus.CANCELLED:
            await self._cards.ended(card, CardState.DISMISSED)
            return
        code = await self._endings.what_went_wrong(card, job)
        await self._cards.ended(card, CardState.FAILED if code else CardState.DELIVERED, code)

    async def _deliver(self, card: Card, member: Member, watch: _Watch, job: Job) -> None:
        """What is ready goes out, one file after the other, in order."""
        watch.delivering = asyncio.create_task(self._bring_all(card, member, watch, job), name=f"delivery {card.id}")
        try:
            await asyncio.shield(watch.delivering)
        except asyncio.CancelledError:
            if not watch.delivering.cancelled():
                watch.delivering.cancel()
                await asyncio.wait({watch.delivering})
                raise
        finally:
            watch.delivering = None

    async def _bring_all(self, card: Card, member: Member, watch: _Watch, job: Job) -> None:
        texts, shown = texts_for(member), asyncio.get_running_loop().time()
        for delivery in await self._deliveries.ready(card):
            parcel = await self._deliveries.parcel(delivery.id) if delivery.id is not None else None
            if parcel is None:
                continue
            if not job.is_list and parcel.files and await self._courier.needs_upload(parcel):
                with suppress(ChatGone):  # the courier finds out for itself, and ends the delivery
                    await self._display.show(card, member, watch.looks, job=job)
                await self._outbox.action(card.place, "upload_document")
            await self._courier.bring(delivery, texts)
            if job.is_list and asyncio.get_running_loop().time() - shown > LIST_GAP:
                await self._show_progress(card, member, watch, await self._downloads.get(job.id), lane=Lane.PROGRESS)
                shown = asyncio.get_running_loop().time()
