"""Files on their way out: as what Telegram has already, or open for reading, each uploaded once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Protocol
from weakref import WeakValueDictionary

from telegram import Message

from bot import wording
from bot.lanes import Within
from bot.outbox import ChatGone, Lost, MessageGone, NotAccepted, NotReached, Outbox
from bot.shapes import Attachment, Shape, copy_in, send_call, shape_of
from service.chat import Place, TelegramCopy
from service.deliveries import Deliveries
from service.model import PUBLIC, JobFile
from service.ports import Media

log = logging.getLogger("magpie.delivery")
PATIENCE = 30.0
"""Seconds that a chat waits for the upload of another chat, rather than uploading the same file itself."""
VAULT_PATIENCE = 3.0
"""Seconds that a file waits for the vault chat's turn; then it goes out directly."""
UPLOADS_AT_ONCE = 32
"""Many: an upload for a chat that Telegram asked to wait holds its place meanwhile."""


class Thumbnails(Protocol):
    async def thumbnail(self, file: Path) -> bytes | None: ...


class Attachments:
    """One bot's. With a vault chat, public files are uploaded there, once for everybody."""

    def __init__(
        self, *, deliveries: Deliveries, outbox: Outbox, media: Media, thumbnails: Thumbnails, bot_id: int, vault_chat: int | None
    ) -> None:
        self._deliveries, self._outbox, self._media, self._thumbnails = deliveries, outbox, media, thumbnails
        self._bot_id, self._vault_chat = bot_id, vault_chat
        self._places = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._being_uploaded: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    # --- what Telegram has already ------------------------------------------------------------------------------------

    async def copy_of(self, file: JobFile) -> TelegramCopy | None:
        """As this bot sent it before."""
        return await self._deliveries.copy_of(file, self._bot_id)

    async def needs_upload(self, file: JobFile) -> bool:
        """Whether bringing it takes a while."""
        if await self.copy_of(file) is not None:
            return False
        return self._vault_chat is None or await self._deliveries.in_vault(file, self._vault_chat) is None

    async def forget_copies(self, files: Sequence[JobFile]) -> bool:
        """What Telegram calls these files may hold no longer. False where nothing of theirs was known."""
        known = [file for file in files if await self.copy_of(file) is not None]
        for file in known:
            await self._deliveries.forget_copy(file, self._bot_id)
        return bool(known)

    async def known(self, file: JobFile) -> TelegramCopy | None:
        """How Telegram has it already; from the vault chat even for a bot that never sent it."""
        copy, vault = await self.copy_of(file), self._vault_chat
        if copy is not None or vault is None:
            return copy
        other = await self._deliveries.in_vault(file, vault)
        if other is None or other.vault_message_id is None:
            return None
        message_id = other.vault_message_id
        try:
            seen = await self._outbox.send(
                lambda bot: bot.forward_message(vault, vault, message_id, rate_limit_args=Within(VAULT_PATIENCE))
            )
        except (MessageGone, NotAccepted, ChatGone, NotReached, Lost, TimeoutError):
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
            copy = await self.known(file)
            if copy is None:
                return []
            found.append(Attachment(shape=Shape.of_copy(file, copy), file=file, copy=copy))
        return found

    # --- to send ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def of(self, file: JobFile) -> AsyncIterator[Attachment]:
        async with self.of_all([file]) as attachments:
            yield attachments[0]

    @asynccontextmanager
    async def of_all(self, files: Sequence[JobFile]) -> AsyncIterator[list[Attachment]]:
        """Each as Telegram's own copy where there is one, else open for reading. One upload of a file at a time, few in all."""
        if known := await self._all_known(files):
            yield known
            return
        lock = self._being_uploaded.setdefault(files[0].media.id or 0, asyncio.Lock())
        async with self._turn(lock):
            if known := await self._all_known(files):  # somebody else had them uploaded meanwhile
                yield known
                return
            if len(files) == 1 and self._vault_chat is not None and files[0].media.key.scope == PUBLIC:
                vaulted = await self._to_vault(files[0], self._vault_chat)
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
                        within=Within(VAULT_PATIENCE),
                    )
                )
        except (ChatGone, NotAccepted, NotReached, Lost, TimeoutError) as refused:
            log.warning("the vault chat does not take a file, it goes out directly: %s", type(refused).__name__)
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

    def new_copies(self, attachments: Sequence[Attachment], sent: Sequence[Message | None]) -> list[TelegramCopy]:
        """Of what was uploaded: what went out as Telegram's own copy is known already, with its place in the vault."""
        pairs = zip(attachments, sent, strict=False)
        return [copy for one, message in pairs if one.copy is None for copy in self._copies(one.file, message)]

    def _copies(self, file: JobFile, message: Message | None) -> list[TelegramCopy]:
        copy = copy_in(file, message, self._bot_id) if message is not None else None
        return [copy] if copy else []
