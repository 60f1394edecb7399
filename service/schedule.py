"""When something that repeats is due: a cron expression of five fields in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from service.errors import InvalidSchedule

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = 5
_LONGEST = 100


class NeverDue(Exception):
    """There is no such time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`text` as it was given. Where clocks are put forward, what falls into the gap is due at its end; where they are put back, a daily
    time is due once.
    """

    text: str
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, timezone: str = "UTC") -> Schedule:
        """Raises `InvalidSchedule`, which says what is wrong."""
        shown = " ".join(text.split())
        schedule = cls(text=shown, zone=zone_of(timezone))
        if len(shown) > _LONGEST:
            raise InvalidSchedule("schedule", f"A schedule has at most {_LONGEST} characters.")
        if shown.startswith("@") and shown.lower() not in ALIASES:
            raise InvalidSchedule("schedule", f"{shown} is not known. There are {', '.join(ALIASES)}.")
        if len(schedule._expression.split()) != _FIELDS:
            raise InvalidSchedule(
                "schedule", "A schedule has five fields: minute, hour, day of the month, month, day of the week. Such as 30 6 * * *."
            )
        try:
            schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC))
        except CronSimError as wrong:
            raise InvalidSchedule("schedule", f"The schedule {shown!r} is not understood: {wrong}.") from None
        except NeverDue:
            raise InvalidSchedule("schedule", f"The schedule {shown!r} is never due.") from None
        return schedule

    @property
    def _expression(self) -> str:
        return ALIASES.get(self.text.lower(), self.text)

    def next_after(self, moment: datetime) -> datetime:
        """The first time after this one, in UTC."""
        local = moment.astimezone(self.zone)
        for due in CronSim(self._expression, local):
            # In the hour that clocks go through twice, the library's first answer may lie before the moment that it was asked about.
            if due.astimezone(UTC) > moment:
                return due.astimezone(UTC)
        raise NeverDue


def zone_of(name: str) -> ZoneInfo:
    """Raises `InvalidSchedule` for a time zone that nobody knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a name may be a path, or a directory's
        raise InvalidSchedule("timezone", "A time zone is named as in Europe/Berlin or UTC.") from None
