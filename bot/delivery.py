"""A finished file's way into the chat.

A single file becomes the card itself: editing may be repeated, so a crash or a lost answer never makes a second copy. Only
where there is no card to turn into the file (an item of a list, an album, a card that was deleted) is a message sent, and
then `Deliveries.begin` counts how often nobody saw it end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot import wording
from bot.attachments import Attachments
from bot.cards import caption_of, file_keyboard
from bot.outbox import UPLOAD_TIMEOUTS, ChatGone, Lost, MessageGone, NotAccepted, NotReached, Outbox, reply_parameters
from bot.patience import Patience
from bot.shapes import Attachment, Shape, album_item, how_many_together, input_media, send_call, shape_of
from bot.texts import Texts
from service.chat import Delivery, DeliveryState, TelegramCopy
from service.deliveries import Deliveries, Parcel
from service.errors import Blocked
from service.members import Members
from service.model import Job, JobFile

log = logging.getLogger("magpie.delivery")
QUIET_FOR = timedelta(seconds=30)
"""A job that took longer ends with a message that notifies."""


def took_long(job: Job) -> bool:
    """Whether whoever asked has turned to something else meanwhile."""
    return job.took is not None and job.took > QUIET_FOR


Links = Callable[[JobFile], str | None]
"""An address that opens a stored file for a while; None where nothing of ours can be reached from outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """`upload_limit` in bytes; `link_life` is what a link is good for."""

    upload_limit: int
    link_life: timedelta


class Courier:
    """Brings one delivery after the other; returns when it has arrived, or cannot."""

    def __init__(
        self,
        *,
        deliveries: Deliveries,
        outbox: Outbox,
        attachments: Attachments,
        members: Members,
        links: Links,
        policy: DeliveryPolicy,
    ) -> None:
        self._deliveries, self._outbox, self._attachments, self._members = deliveries, outbox, attachments, members
        self._links, self._policy = links, policy
        self._chats: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def needs_upload(self, parcel: Parcel) -> bool:
        """Whether it takes a while."""
        first = parcel.files[0]
        return not self._is_too_large(first) and await self._attachments.needs_upload(first)

    async def bring(self, delivery: Delivery, texts: Texts) -> DeliveryState:
        """Until it has arrived, cannot, or nobody knows; while Telegram is out of reach it is tried again and again."""
        assert delivery.id is not None
        patience, is_anew = Patience(), False
        while True:
            parcel = await self._deliveries.parcel(delivery.id)
            if parcel is None:
                return DeliveryState.DELIVERED
            chat = self._chats.setdefault(parcel.card.place.chat_id, asyncio.Lock())
            try:
                async with chat:  # one at a time: a chat that has to wait takes no more than one place
                    return await self._bring(parcel, texts)
            except (NotReached, Lost) as broken:
                log.warning("Telegram does not answer, the delivery is tried again", extra={"cause": type(broken).__name__})
            except ChatGone:
                return await self._gives_up(parcel, "chat_gone")
            except NotAccepted:
                if is_anew or not await self._attachments.forget_copies(parcel.files):
                    return await self._gives_up(parcel, "not_accepted")
                log.info("Telegram refuses what it had taken before, it is uploaded anew")
                is_anew = True
                continue
            except FileNotFoundError:
                return await self._gives_up(parcel, "file_gone")
            except OSError as broken:  # a full disk, a store that does not answer: [Send again] is offered
                log.error("a stored file could not be read: %s", type(broken).__name__)  # noqa: TRY400 - the traceback adds nothing
                return await self._gives_up(parcel, "not_delivered")
            await patience.pause()

    async def _bring(self, parcel: Parcel, texts: Texts) -> DeliveryState:
        delivery, card = parcel.delivery, parcel.card
        if (obstacle := await self._obstacle(parcel)) is not None:
            return await self._gives_up(parcel, obstacle)
        if delivery.state is DeliveryState.ANNOUNCING:  # the card holds the file; whether the message came as well is not asked
            return (await self._deliveries.arrived(delivery)).state
        if len(parcel.files) > 1:
            return await self._bring_album(parcel, texts)
        if self._is_too_large(parcel.files[0]) and await self._attachments.known(parcel.files[0]) is None:
            return await self._bring_link(parcel, texts)
        is_cards_own = card.job_id == parcel.job.id and card.message_id is not None
        if is_cards_own:
            try:
                return await self._turn_card(parcel, texts)
            except MessageGone:
                log.info("the card is gone, the file is sent as a message")
        return await self._send(parcel, texts)

    async def _obstacle(self, parcel: Parcel) -> str | None:
        """Why it is not even tried."""
        if not parcel.files:
            return "file_gone"
        is_there = parcel.delivery.state is DeliveryState.ANNOUNCING
        return Blocked.code if not is_there and await self._members.is_blocked(parcel.card.account_id) else None

    async def _gives_up(self, parcel: Parcel, code: str) -> DeliveryState:
        return (await self._deliveries.failed(parcel.delivery, code)).state

    # --- one file -----------------------------------------------------------------------------------------------------

    async def _turn_card(self, parcel: Parcel, texts: Texts) -> DeliveryState:
        card, (file, *_) = parcel.card, parcel.files
        assert card.message_id is not None
        async with self._attachments.of(file) as attachment:
            media = input_media(attachment, self._caption(parcel))
            done = await self._outbox.turn_into(card.place, card.message_id, media, file_keyboard(card, texts))
            copies = self._attachments.new_copies([attachment], [done])  # written down before the next in line looks whether there is one
            if not took_long(parcel.job) or (not copies and attachment.copy is None):
                return (await self._deliveries.arrived(parcel.delivery, *copies)).state
            await self._deliveries.announcing(parcel.delivery, *copies)
        copy = copies[0] if copies else attachment.copy
        assert copy is not None
        await self._announce(parcel, replace(attachment, copy=copy, upload=None), texts)
        return (await self._deliveries.arrived(replace(parcel.delivery, state=DeliveryState.ANNOUNCING))).state

    async def _announce(self, parcel: Parcel, attachment: Attachment, texts: Texts) -> None:
        """The same file once more as a message at the end of the chat, which notifies; the card then goes."""
        card = parcel.card
        try:
            await self._outbox.send(self._call(attachment, parcel, file_keyboard(card, texts), quietly=False))
        except (ChatGone, NotAccepted, NotReached, Lost, MessageGone) as why:
            log.info("the end of a long download could not be announced: %s", type(why).__name__)
            return
        assert card.message_id is not None
        await self._outbox.delete(card.place, card.message_id)

    async def _send(self, parcel: Parcel, texts: Texts) -> DeliveryState:
        begun = await self._deliveries.begin(parcel.delivery)
        if begun is None:
            return DeliveryState.UNSURE
        file = parcel.files[0]
        quietly = parcel.job.parent_id is not None or not took_long(parcel.job)
        try:
            async with self._attachments.of(file) as attachment:
                message = await self._outbox.send(self._call(attachment, parcel, file_keyboard(parcel.card, texts), quietly=quietly))
                return (await self._deliveries.arrived(begun, *self._attachments.new_copies([attachment], [message]))).state
        except (NotReached, NotAccepted, ChatGone, OSError):
            await self._deliveries.was_refused(begun)
            raise

    def _call(self, attachment: Attachment, parcel: Parcel, keyboard: InlineKeyboardMarkup | None, *, quietly: bool) -> Any:
        card = parcel.card
        return send_call(
            attachment, card.place, caption=self._caption(parcel), keyboard=keyboard, reply_to=card.request_id, quietly=quietly
        )

    def _caption(self, parcel: Parcel) -> str:
        length = parcel.files[0].media.duration
        return caption_of(parcel.card, parcel.job, length=wording.duration(length) if length else None)

    # --- albums -------------------------------------------------------------------------------------------------------

    async def _bring_album(self, parcel: Parcel, texts: Texts) -> DeliveryState:
        """As few messages as Telegram allows; what has arrived is not sent again. Files over its limit come as links at the end."""
        delivery = parcel.delivery
        files = sorted(parcel.files, key=self._is_too_large)
        while delivery.parts < len(files):
            begun = await self._deliveries.begin(delivery)
            if begun is None:
                return DeliveryState.UNSURE
            rest = files[delivery.parts :]
            try:
                if self._is_too_large(rest[0]):
                    part, copies = list(rest[:1]), list[TelegramCopy]()
                    await self._say_link(parcel, rest[0], texts, quietly=True)
                else:
                    part = await self._fit_together(rest)
                    copies = await self._send_part(parcel, part, is_first=delivery.parts == 0)
            except (NotReached, NotAccepted, ChatGone, OSError):
                await self._deliveries.was_refused(begun)
                raise
            delivery = await self._deliveries.arrived(begun, *copies, parts=delivery.parts + len(part))
        return (await self._deliveries.arrived(delivery)).state

    async def _fit_together(self, files: Sequence[JobFile]) -> list[JobFile]:
        """The first ones, as far as one album takes them."""
        small = [file for file in files if not self._is_too_large(file)]
        return small[: how_many_together([await self._shape(file) for file in small])]

    async def _send_part(self, parcel: Parcel, part: Sequence[JobFile], *, is_first: bool) -> list[TelegramCopy]:
        card = parcel.card
        caption = self._caption(parcel) if is_first else None
        quietly = not is_first or not took_long(parcel.job)
        if len(part) == 1:
            async with self._attachments.of(part[0]) as attachment:
                call = send_call(attachment, card.place, caption=caption, keyboard=None, reply_to=card.request_id, quietly=quietly)
                return self._attachments.new_copies([attachment], [await self._outbox.send(call)])
        async with self._attachments.of_all(part) as attachments:
            items = [album_item(one, caption if number == 0 else None) for number, one in enumerate(attachments)]
            sent = await self._outbox.send(
                lambda bot: bot.send_media_group(
                    card.place.chat_id,
                    items,
                    message_thread_id=card.place.thread_id,
                    disable_notification=quietly,
                    reply_parameters=reply_parameters(card.request_id),
                    **UPLOAD_TIMEOUTS,
                )
            )
            copies = self._attachments.new_copies(attachments, sent)
            await self._deliveries.remember(*copies)
        return copies

    async def _shape(self, file: JobFile) -> Shape:
        copy = await self._attachments.copy_of(file)
        return Shape.of_copy(file, copy) if copy is not None else shape_of(file)

    # --- links --------------------------------------------------------------------------------------------------------

    async def _bring_link(self, parcel: Parcel, texts: Texts) -> DeliveryState:
        """For what Telegram does not take from a bot: the card becomes it, or goes after a message that notifies."""
        card, (file, *_) = parcel.card, parcel.files
        is_cards_own = card.job_id == parcel.job.id and card.message_id is not None
        if is_cards_own and not took_long(parcel.job):
            assert card.message_id is not None
            try:
                text, keyboard = self._link(parcel, file, texts)
                await self._outbox.edit(card.place, card.message_id, text, keyboard=keyboard, is_caption=card.has_media)
                return (await self._deliveries.arrived(parcel.delivery)).state
            except MessageGone:
                log.info("the card is gone, the link is sent as a message")
        begun = await self._deliveries.begin(parcel.delivery)
        if begun is None:
            return DeliveryState.UNSURE
        try:
            await self._say_link(parcel, file, texts, quietly=parcel.job.parent_id is not None or not took_long(parcel.job))
        except (NotReached, NotAccepted, ChatGone):
            await self._deliveries.was_refused(begun)
            raise
        if is_cards_own and card.message_id is not None:
            await self._outbox.delete(card.place, card.message_id)
        return (await self._deliveries.arrived(begun)).state

    async def _say_link(self, parcel: Parcel, file: JobFile, texts: Texts, *, quietly: bool) -> None:
        text, keyboard = self._link(parcel, file, texts)
        await self._outbox.say(parcel.card.place, text, keyboard=keyboard, reply_to=parcel.card.request_id, quietly=quietly)

    def _is_too_large(self, file: JobFile) -> bool:
        return file.media.size > self._policy.upload_limit

    def _link(self, parcel: Parcel, file: JobFile, texts: Texts) -> tuple[str, InlineKeyboardMarkup | None]:
        address = self._links(file)
        sizes = {"size": wording.size(file.media.size), "limit": wording.size(self._policy.upload_limit)}
        head = self._caption(parcel)
        if address is None:
            return f"{head}\n\n{texts.too_big_without_address.format(**sizes)}", None
        life = texts.link_lives.format(time=wording.clock(self._policy.link_life.total_seconds()))
        label = texts.link_button.format(name=file.name[:40])
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton(label, url=address)]])
        return f"{head}\n\n{texts.too_big_for_telegram.format(**sizes)} {life}", keyboard
