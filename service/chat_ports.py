"""What the chat's use cases need of the database, as small Protocols."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol
from uuid import UUID

from service.chat import Card, Delivery, Preferences, ReceivedUpdate, TelegramCopy, TelegramUser
from service.descriptions import Description
from service.media_url import MediaUrl


class TelegramUsers(Protocol):
    async def get(self, telegram_id: int) -> TelegramUser | None: ...
    async def of_account(self, account_id: int) -> list[TelegramUser]: ...
    async def of_administrators(self, named: Collection[int]) -> list[TelegramUser]:
        """These, and superusers; none that is blocked."""
        ...

    async def add(self, user: TelegramUser) -> bool:
        """False, and no change, when it is known already."""
        ...

    async def save(self, user: TelegramUser) -> None:
        """Name, language and download session in use."""
        ...


class PreferencesOf(Protocol):
    async def get(self, account_id: int) -> Preferences:
        """The defaults for whoever has changed none."""
        ...

    async def put(self, account_id: int, preferences: Preferences) -> None: ...


class Updates(Protocol):
    """The inbox: what Telegram told us and no use case has dealt with yet."""

    async def add(self, updates: Sequence[ReceivedUpdate]) -> set[int]:
        """The ids of those that are new."""
        ...

    async def done(self, bot_id: int, update_ids: Sequence[int]) -> None:
        """They have been dealt with: told again, they are not new."""
        ...

    async def open(self, bot_id: int) -> list[ReceivedUpdate]:
        """What is still to be dealt with, oldest first."""
        ...


class Cards(Protocol):
    async def add(self, card: Card) -> bool:
        """False, and no change, when there is one for the same address of the same message."""
        ...

    async def get(self, card_id: str) -> Card | None: ...
    async def of_message(self, bot_id: int, chat_id: int, request_id: int) -> list[Card]:
        """By position."""
        ...

    async def shown_as(self, bot_id: int, chat_id: int, message_id: int) -> Card | None: ...
    async def save(self, card: Card, *, if_state: str) -> bool:
        """Write it if its state in the database is still this one; False, and no change, if not."""
        ...

    async def shown(self, card_id: str, message_id: int | None, *, has_media: bool) -> None:
        """Our message for it, whatever its state."""
        ...

    async def settle(self, card_id: str, *, if_state: str) -> None:
        """The chat has seen it in this state; whatever is saved afterwards is to be seen again."""
        ...

    async def of_job(self, job_id: UUID) -> list[Card]: ...
    async def of_account(self, account_id: int) -> list[Card]: ...
    async def told_of(self, url: MediaUrl) -> Description | None:
        """What the newest card about this address told."""
        ...

    async def open(self, bot_id: int) -> list[Card]:
        """All that something is still to happen to, oldest first."""
        ...

    async def unsettled(self, bot_id: int) -> list[Card]:
        """Those that ended without the chat having seen it, oldest first."""
        ...

    async def open_of(self, account_id: int, chat_id: int | None = None) -> list[Card]: ...


class Deliveries(Protocol):
    async def add(self, delivery: Delivery) -> None:
        """Nothing changes when the job is on its way to this card already."""
        ...

    async def get(self, delivery_id: int) -> Delivery | None: ...
    async def of_card(self, card_id: str) -> list[Delivery]: ...
    async def ready(self, card_id: str) -> list[Delivery]:
        """Those of the card that could go out now, in the list's order."""
        ...

    async def save(self, delivery: Delivery, *, if_state: str) -> bool: ...


class TelegramCopies(Protocol):
    async def get(self, media_file_id: int, bot_id: int) -> TelegramCopy | None: ...
    async def of_any_bot(self, media_file_id: int, vault_chat_id: int) -> TelegramCopy | None:
        """One that lies in this vault chat."""
        ...

    async def put(self, copy: TelegramCopy) -> None: ...
    async def in_vaults(self, media_file_ids: Sequence[int]) -> list[TelegramCopy]:
        """Those of these files that lie in a vault chat, each place once."""
        ...

    async def forget(self, media_file_id: int, bot_id: int) -> None: ...


class KeptValues(Protocol):
    """Single values of the installation."""

    async def get(self, name: str) -> str | None: ...
    async def put(self, name: str, value: str) -> None: ...
    async def remove(self, name: str, value: str) -> bool:
        """Whether it was there with this value: of several who try, one succeeds."""
        ...
