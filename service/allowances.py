"""How much an account may do: by its role, or as an administrator set it for one account."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from enum import StrEnum

GB = 10**9


class Role(StrEnum):
    """How much an account is trusted. Superusers have no limits, whatever their role."""

    USER = "user"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """None is without limit. A day is the last 24 hours."""

    jobs_a_day: int | None = None
    at_once: int | None = None
    bytes_a_day: int | None = None
    stored_bytes: int | None = None
    retention_days: int | None = None

    def changed_by(self, own: Allowance) -> Allowance:
        """With what is set for one account in place of its role's; None there leaves the role's."""
        given = {field.name: getattr(own, field.name) for field in fields(own)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})


UNLIMITED = Allowance()
ANONYMOUS = Allowance(jobs_a_day=100, at_once=2, bytes_a_day=5 * GB, stored_bytes=5 * GB, retention_days=1)
BY_ROLE = {
    Role.USER: Allowance(jobs_a_day=200, at_once=3, bytes_a_day=50 * GB, stored_bytes=50 * GB, retention_days=90),
    Role.TRUSTED: Allowance(jobs_a_day=1000, at_once=6, bytes_a_day=200 * GB, stored_bytes=500 * GB, retention_days=365),
}
DAY = timedelta(hours=24)
