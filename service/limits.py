"""What callers may use: the hooks that `Downloads` calls. Without quotas, everything."""

from __future__ import annotations

from service.model import Job
from service.ports import Transaction


class NoQuota:
    """Admits everything."""

    async def admit(self, transaction: Transaction, job: Job) -> None:
        """Raises nothing."""

    async def refund(self, transaction: Transaction, job: Job) -> None:
        """Nothing was charged."""

    async def may_start(self, transaction: Transaction, job: Job) -> bool:
        del transaction, job
        return True
