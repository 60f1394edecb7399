"""A stored file on its way to a chat: it arrives at least once, and is never sent a third time without being asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from service.chat import MAX_TRIES, Card, CardState, Delivery, DeliveryState, TelegramCopy
from service.model import Job, JobFile, JobStatus
from service.ports import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A delivery with all that it is about."""

    delivery: Delivery
    card: Card
    job: Job
    files: tuple[JobFile, ...]


class Deliveries:
    """`begin` before each call to Telegram that puts a file into a chat, one of the others after it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ready(self, card: Card) -> list[Delivery]:
        """What could go out now, in the list's order."""
        async with self._database.read() as transaction:
            return await transaction.deliveries.ready(card.id)

    async def parcel(self, delivery_id: int) -> Parcel | None:
        """As it is now; None when it is gone, or was dealt with."""
        async with self._database.read() as transaction:
            delivery = await transaction.deliveries.get(delivery_id)
            if delivery is None or not delivery.state.is_open:
                return None
            card = await transaction.cards.get(delivery.card_id)
            job = await transaction.jobs.get(delivery.job_id)
            if card is None or job is None or job.status is not JobStatus.COMPLETED:
                return None
            return Parcel(delivery=delivery, card=card, job=job, files=tuple(await transaction.media_files.of_job(job.id)))

    async def begin(self, delivery: Delivery) -> Delivery | None:
        """Marked as being sent. None, and `unsure`, when that was cut short twice before."""
        if delivery.tries >= MAX_TRIES:
            await self._change(delivery, replace(delivery, state=DeliveryState.UNSURE))
            return None
        return await self._change(delivery, delivery.begun())

    async def was_refused(self, delivery: Delivery) -> Delivery:
        """Telegram said no: the file is surely not there, so this try does not count."""
        return await self._change(delivery, replace(delivery, state=DeliveryState.WAITING, tries=max(0, delivery.tries - 1)))

    async def arrived(self, delivery: Delivery, *copies: TelegramCopy, parts: int | None = None) -> Delivery:
        """All of it, or the first `parts` files of an album. What Telegram calls them is kept."""
        if parts is None:
            changed = replace(delivery, state=DeliveryState.DELIVERED)
        else:
            changed = replace(delivery, state=DeliveryState.WAITING, parts=parts, tries=0)
        async with self._database.write() as transaction:
            for copy in copies:
                await transaction.telegram_copies.put(copy)
            await transaction.deliveries.save(changed, if_state=delivery.state)
        return changed

    async def announcing(self, delivery: Delivery, *copies: TelegramCopy) -> Delivery:
        """The card is the file by now; what follows only notifies, and is not tried twice."""
        changed = replace(delivery, state=DeliveryState.ANNOUNCING)
        async with self._database.write() as transaction:
            for copy in copies:
                await transaction.telegram_copies.put(copy)
            await transaction.deliveries.save(changed, if_state=delivery.state)
        return changed

    async def failed(self, delivery: Delivery, code: str) -> Delivery:
        """It cannot be sent; the file stays where it is. What has arrived of an album by now is kept."""
        assert delivery.id is not None
        async with self._database.write() as transaction:
            present = await transaction.deliveries.get(delivery.id)
            if present is None or not present.state.is_open:
                return present or delivery
            changed = replace(present, state=DeliveryState.FAILED, error_code=code)
            await transaction.deliveries.save(changed, if_state=present.state)
        return changed

    async def stop(self, card: Card) -> None:
        """What has not arrived is not sent any more; the files stay where they are."""
        async with self._database.write() as transaction:
            for delivery in await transaction.deliveries.of_card(card.id):
                if delivery.state.is_open:
                    ended = replace(delivery, state=DeliveryState.FAILED, error_code="stopped")
                    await transaction.deliveries.save(ended, if_state=delivery.state)
            await transaction.cards.save(card.ended(CardState.DISMISSED), if_state=card.state)

    async def send_again(self, card: Card) -> bool:
        """Those of the card that did not arrive, or may not have, from the beginning. False when there are none."""
        async with self._database.write() as transaction:
            found = []
            for delivery in await transaction.deliveries.of_card(card.id):
                if delivery.state is not DeliveryState.DELIVERED and (not card.state.is_open or not delivery.state.is_open):
                    await transaction.deliveries.save(delivery.anew(), if_state=delivery.state)
                    found.append(delivery)
            if found and not card.state.is_open:
                await transaction.cards.save(replace(card, state=CardState.ORDERED, error_code=None), if_state=card.state)
        return bool(found)

    async def of_card(self, card_id: str) -> list[Delivery]:
        async with self._database.read() as transaction:
            return await transaction.deliveries.of_card(card_id)

    async def remember(self, *copies: TelegramCopy) -> None:
        async with self._database.write() as transaction:
            for copy in copies:
                await transaction.telegram_copies.put(copy)

    async def copy_of(self, file: JobFile, bot_id: int) -> TelegramCopy | None:
        """How this bot can send it without an upload."""
        assert file.media.id is not None
        async with self._database.read() as transaction:
            return await transaction.telegram_copies.get(file.media.id, bot_id)

    async def in_vault(self, file: JobFile, vault_chat_id: int) -> TelegramCopy | None:
        assert file.media.id is not None
        async with self._database.read() as transaction:
            return await transaction.telegram_copies.of_any_bot(file.media.id, vault_chat_id)

    async def forget_copy(self, file: JobFile, bot_id: int) -> None:
        """Telegram does not know it any more."""
        assert file.media.id is not None
        async with self._database.write() as transaction:
            await transaction.telegram_copies.forget(file.media.id, bot_id)

    async def _change(self, delivery: Delivery, changed: Delivery) -> Delivery:
        async with self._database.write() as transaction:
            await transaction.deliveries.save(changed, if_state=delivery.state)
        return changed
