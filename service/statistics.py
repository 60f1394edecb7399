"""How the service is doing, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """`failures` are runs that failed, by code, the most frequent first."""

    running: int
    queued: int
    files: int
    stored_bytes: int
    accounts: int
    failures: Mapping[str, int]


class StatisticsRows(Protocol):
    async def since(self, moment: datetime) -> Statistics:
        """As things are now, with the failures since the moment."""
        ...
