"""A finished file's way into the chat.

A single file becomes the card itself: editing may be repeated, so a crash or a lost answer never makes a second copy. Only
where there is no card to turn into the file (an item of a list, an album, a card that was deleted) is a message sent, and
then `Deliveries.begin` counts how often nobody saw it end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Protocol
from weakref import WeakValueDictionary

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Message

from bot import wording
from bot.cards import caption_of, file_keyboard
from bot.outbox import UPLOAD_TIMEOUTS, ChatGone, Lost, MessageGone, NotAccepted, NotReached, Outbox, reply_parameters
from bot.shapes import Attachment, Shape, album_item, copy_in, how_many_together, input_media, send_call, shape_of
from bot.texts import Texts
from service.chat import Delivery, DeliveryState, Place, TelegramCopy
from service.deliveries import Deliveries, Parcel
from service.model import PUBLIC, Job, JobFile
from service.ports import Media

log = logging.getLogger("magpie.delivery")
QUIET_FOR = timedelta(seconds=30)
"""A job that took longer ends with a message that notifies."""
PATIENCE = 30.0
"""Seconds that a chat waits for the upload of another chat, rather than uploading the same file itself."""
PAUSES = (1.0, 5.0, 15.0, 60.0, 300.0)
"""Seconds between tries while Telegram cannot be reached; the last one repeats."""


class Thumbnails(Protocol):
    async def thumbnail(self, file: Path) -> bytes | None: ...


Links = Callable[[JobFile], str | None]
"""An address that opens a stored file for a while; None where nothing of ours can be reached from outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """`upload_limit` in bytes; `link_life` is what a link is good for."""

    upload_limit: int
    link_life: timedelta
    vault_chat: int | None = None
    uploads_at_once: int = 32
    """Many: an upload for a chat that Telegram asked to wait holds its place meanwhile."""


class Courier:
    """Brings one delivery after the other; returns when it has arrived, or cannot."""

    def __init__(
        self,
        *,
        deliveries: Deliveries,
        outbox: Outbox,
        media: Media,
        thumbnails: Thumbnails,
        links: Links,
        policy: DeliveryPolicy,
        bot_id: int,
    ) -> None:
        self._deliveries, self._outbox, self._media, self._thumbnails = deliveries, outbox, media, thumbnails
        self._links, self._policy, self._bot_id = links, policy, bot_id
        self._places = asyncio.Semaphore(policy.uploads_at_once)
        self._chats: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._being_uploaded: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def needs_upload(self, parcel: Parcel) -> bool:
        """Whether it takes a while."""
        first, vault = parcel.files[0], self._policy.vault_chat
        if first.media.size > self._policy.upload_limit or await self._deliveries.copy_of(first, self._bot_id) is not None:
            return False
        return vault is None or await self._deliveries.in_vault(first, vault) is None

    async def bring(self, delivery: Delivery, texts: Texts) -> DeliveryState:
        """Until it has arrived, cannot, or nobody knows; while Telegram is out of reach it is tried again and again."""
        assert delivery.id is not None
        tries, is_anew = 0, False
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
                if is_anew or not await self._forgot_copies(parcel):
                    return await self._gives_up(parcel, "not_accepted")
                is_anew = True
                continue
            except FileNotFoundError:
                return await self._gives_up(parcel, "file_gone")
            except OSError as broken:  # a full disk, a store that does not answer: [Send again] is offered
                log.error("a stored file could not be read: %s", type(broken).__name__)  # noqa: TRY400 - the traceback adds nothing
                return await self._gives_up(parcel, "not_delivered")
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    async def _bring(self, parcel: Parcel, texts: Texts) -> DeliveryState:
        delivery, card = parcel.delivery, parcel.card
        if not parcel.files:
            return await self._gives_up(parcel, "file_gone")
        if delivery.state is DeliveryState.ANNOUNCING:  # the card holds the file; whether the message came as well is not asked
            return (await self._deliveries.arrived(delivery)).state
        if len(parcel.files) > 1:
            return await self._bring_album(parcel, texts)
        if parcel.files[0].media.size > self._policy.upload_limit and await self._known(parcel.files[0]) is None:
            return await self._bring_link(parcel, texts)
        is_cards_own = card.job_id == parcel.job.id and card.message_id is not None
        if is_cards_own:
            try:
                return await self._turn_card(parcel, texts)
            except MessageGone:
                log.info("the card is gone, the file is sent as a message")
        return await self._send(parcel, texts)

    async def _forgot_copies(self, parcel: Parcel) -> bool:
        """What Telegram calls these files may hold no longer: they are uploaded anew. False where nothing of theirs was known."""
        known = [file for file in parcel.files if await self._deliveries.copy_of(file, self._bot_id) is not None]
        for file in known:
            await self._deliveries.forget_copy(file, self._bot_id)
        if known:
            log.info("Telegram refuses what it had taken before, it is uploaded anew")
        return bool(known)

    async def _gives_up(self, parcel: Parcel, code: str) -> DeliveryState:
        return (await self._deliveries.failed(parcel.delivery, code)).state

    # --- one file -----------------------------------------------------------------------------------------------------

    async def _turn_card(self, parcel: Parcel, texts: Texts) -> DeliveryState:
        card, (file, *_) = parcel.card, parcel.files
        assert card.message_id is not None
        begun = replace(parcel.delivery, state=DeliveryState.SENDING)
        async with self._attached(file) as attachment:
            media = input_media(attachment, self._caption(parcel))
            done = await self._outbox.turn_into(card.place, card.message_id, media, file_keyboard(card, texts))
            copies = self._new_copies([attachment], [done])  # written down before the next in line looks whether there is one
            if not self._took_long(parcel.job) or (not copies and attachment.copy is None):
                return (await self._deliveries.arrived(parcel.delivery, *copies)).state
            await self._deliveries.announcing(parcel.delivery, *copies)
        copy = copies[0] if copies else attachment.copy
        assert copy is not None
        await self._announce(parcel, replace(attachment, copy=copy, upload=None), texts)
        return (await self._deliveries.arrived(replace(begun, state=DeliveryState.ANNOUNCING))).state

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
        quietly = parcel.job.parent_id is not None or not self._took_long(parcel.job)
        try:
            async with self._attached(file) as attachment:
                message = await self._outbox.send(self._call(attachment, parcel, file_keyboard(parcel.card, texts), quietly=quietly))
                return (await self._deliveries.arrived(begun, *self._new_copies([attachment], [message]))).state
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

    def _took_long(self, job: Job) -> bool:
        return job.ended_at is not None and job.ended_at - job.created_at > QUIET_FOR

    # --- albums -------------------------------------------------------------------------------------------------------

    async def _bring_album(self, parcel: Parcel, texts: Texts) -> DeliveryState:
        """As few messages as Telegram allows; what has arrived is not sent again. Files over its limit come as links."""
        delivery, large = parcel.delivery, [file for file in parcel.files if file.media.size > self._policy.upload_limit]
        files = [file for file in parcel.files if file not in large]
        while delivery.parts < len(files):
            begun = await self._deliveries.begin(delivery)
            if begun is None:
                return DeliveryState.UNSURE
            rest = files[delivery.parts :]
            part = rest[: how_many_together([await self._shape(file) for file in rest])]
            try:
                copies = await self._send_part(parcel, part, is_first=delivery.parts == 0)
            except (NotReached, NotAccepted, ChatGone, OSError):
                await self._deliveries.was_refused(begun)
                raise
            delivery = await self._deliveries.arrived(begun, *copies, parts=delivery.parts + len(part))
        for file in large:
            text, keyboard = self._link(parcel, file, texts)
            await self._outbox.say(parcel.card.place, text, keyboard=keyboard, reply_to=parcel.card.request_id)
        return (await self._deliveries.arrived(delivery)).state

    async def _send_part(self, parcel: Parcel, part: Sequence[JobFile], *, is_first: bool) -> list[TelegramCopy]:
        card = parcel.card
        caption = self._caption(parcel) if is_first else None
        if len(part) == 1:
            async with self._attached(part[0]) as attachment:
                call = send_call(attachment, card.place, caption=caption, keyboard=None, reply_to=card.request_id, quietly=not is_first)
                return self._new_copies([attachment], [await self._outbox.send(call)])
        async with self._all_attached(part) as attachments:
            items = [album_item(one, caption if number == 0 else None) for number, one in enumerate(attachments)]
            sent = await self._outbox.send(
                lambda bot: bot.send_media_group(
                    card.place.chat_id,
                    items,
                    message_thread_id=card.place.thread_id,
                    disable_notification=not is_first,
                    reply_parameters=reply_parameters(card.request_id),
                    **UPLOAD_TIMEOUTS,
                )
            )
            copies = self._new_copies(attachments, sent)
            await self._deliveries.remember(*copies)
        return copies

    async def _shape(self, file: JobFile) -> Shape:
        copy = await self._deliveries.copy_of(file, self._bot_id)
        return Shape.of_copy(file, copy) if copy is not None else shape_of(file)

    # --- links --------------------------------------------------------------------------------------------------------

    async def _bring_link(self, parcel: Parcel, texts: Texts) -> DeliveryState:
        """For what Telegram does not take from a bot."""
        card = parcel.card
        text, keyboard = self._link(parcel, parcel.files[0], texts)
        if card.job_id == parcel.job.id and card.message_id is not None:
            try:
                await self._outbox.edit(card.place, card.message_id, text, keyboard=keyboard, is_caption=card.has_media)
                return (await self._deliveries.arrived(parcel.delivery)).state
            except MessageGone:
                log.info("the card is gone, the link is sent as a message")
        await self._outbox.say(card.place, text, keyboard=keyboard, reply_to=card.request_id)
        return (await self._deliveries.arrived(parcel.delivery)).state

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

    # --- files --------------------------------------------------------------------------------------------------------

    async def _known(self, file: JobFile) -> TelegramCopy | None:
        """How Telegram has it already; from the vault chat even for a bot that never sent it."""
        copy = await self._deliveries.copy_of(file, self._bot_id)
        vault = self._policy.vault_chat
        if copy is not None or vault is None:
            return copy
        other = await self._deliveries.in_vault(file, vault)
        if other is None or other.vault_message_id is None:
            return None
        message_id = other.vault_message_id
        try:
            seen = await self._outbox.send(lambda bot: bot.forward_message(vault, vault, message_id))
        except (MessageGone, NotAccepted, ChatGone):
            return None
        await self._outbox.delete(Place(chat_id=vault), seen.message_id)
        found = self._copies(file, seen)
        for one in found:
            await self._deliveries.remember(replace(one, vault_chat_id=vault, vault_message_id=message_id))
        return found[0] if found else None

    async def _all_known(self, files: Sequence[JobFile]) -> list[Attachment]:
        """As Telegram has them; nothing where one of them is not known."""
        found = []
        for file in files:
            copy = await self._known(file)
            if copy is None:
                return []
            found.append(Attachment(shape=Shape.of_copy(file, copy), file=file, copy=copy))
        return found

    @asynccontextmanager
    async def _attached(self, file: JobFile) -> AsyncIterator[Attachment]:
        async with self._all_attached([file]) as attachments:
            yield attachments[0]

    @asynccontextmanager
    async def _all_attached(self, files: Sequence[JobFile]) -> AsyncIterator[list[Attachment]]:
        """Each as Telegram's own copy where there is one, else open for reading. One upload of a file at a time, few in all."""
        if known := await self._all_known(files):
            yield known
            return
        lock = self._being_uploaded.setdefault(files[0].media.id or 0, asyncio.Lock())
        async with self._turn(lock):
            if known := await self._all_known(files):  # somebody else had them uploaded meanwhile
                yield known
                return
            if len(files) == 1 and self._policy.vault_chat is not None and files[0].media.key.scope == PUBLIC:
                vaulted = await self._to_vault(files[0], self._policy.vault_chat)
                if vaulted is not None:
                    yield [Attachment(shape=Shape.of_copy(files[0], vaulted), file=files[0], copy=vaulted)]
                    return
            async with self._places, self._open(files) as attachments:
                yield attachments

    @asynccontextmanager
    async def _turn(self, lock: asyncio.Lock) -> AsyncIterator[None]:
        """Wait for whoever uploads the same file, but not for ever: their chat may have to wait for minutes."""
        try:
            async with asyncio.timeout(PATIENCE):
                await lock.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            lock.release()

    async def _to_vault(self, file: JobFile, vault: int) -> TelegramCopy | None:
        """Upload it to the vault chat, once for everybody. None when the vault does not take it."""
        try:
            async with self._places, self._open([file]) as (attachment,):
                message = await self._outbox.send(
                    send_call(
                        attachment,
                        Place(chat_id=vault),
                        caption=wording.escaped(file.media.title),
                        keyboard=None,
                        reply_to=None,
                        quietly=True,
                    )
                )
        except (ChatGone, NotAccepted) as refused:
            log.warning("the vault chat does not take files: %s", type(refused).__name__)
            return None
        copies = self._copies(file, message)
        if not copies:
            return None
        copy = replace(copies[0], vault_chat_id=vault, vault_message_id=message.message_id)
        await self._deliveries.remember(copy)
        return copy

    @asynccontextmanager
    async def _open(self, files: Sequence[JobFile]) -> AsyncIterator[list[Attachment]]:
        """Raises `FileNotFoundError`."""
        handles: list[IO[bytes]] = []
        with TemporaryDirectory(prefix="magpie-") as directory:
            try:
                attachments = []
                for number, file in enumerate(files):
                    path = await self._on_disk(file, Path(directory) / str(number))
                    shape = shape_of(file)
                    thumbnail = await self._thumbnails.thumbnail(path) if shape.has_thumbnail else None
                    handles.append(await asyncio.to_thread(path.open, "rb"))
                    attachments.append(Attachment(shape=shape, file=file, upload=handles[-1], thumbnail=thumbnail))
                yield attachments
            finally:
                for handle in handles:
                    handle.close()

    async def _on_disk(self, file: JobFile, spare: Path) -> Path:
        local = self._media.local_path(file.media.location)
        if local is not None:
            return local
        with spare.open("wb") as target:
            async for piece in self._media.read(file.media.location, 0, file.media.size):
                await asyncio.to_thread(target.write, piece)
        return spare

    def _new_copies(self, attachments: Sequence[Attachment], sent: Sequence[Message | None]) -> list[TelegramCopy]:
        """Of what was uploaded: what went out as Telegram's own copy is known already, with its place in the vault."""
        pairs = zip(attachments, sent, strict=False)
        return [copy for one, message in pairs if one.copy is None for copy in self._copies(one.file, message)]

    def _copies(self, file: JobFile, message: Message | None) -> list[TelegramCopy]:
        copy = copy_in(file, message, self._bot_id) if message is not None else None
        return [copy] if copy else []
