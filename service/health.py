"""How the service is: whether it takes requests at all, and what its parts say of themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

log = logging.getLogger("magpie.health")
PATIENCE = timedelta(seconds=5)


class Stage(StrEnum):
    """Where in its life the service is."""

    STARTING = "starting"
    READY = "ready"
    IMPORTING = "importing"
    """A backup takes the place of what there is."""
    STOPPING = "stopping"


class ServiceState:
    """The one place where the stage is kept: whoever starts and stops the service sets it, the edges read it."""

    def __init__(self, state: Stage = Stage.STARTING) -> None:
        self.state = state
        self._letting_go = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        return self.state is Stage.READY

    @property
    def is_stopping(self) -> bool:
        return self.state is Stage.STOPPING

    def move_to(self, stage: Stage) -> None:
        self.state = stage

    def let_go(self) -> None:
        """Of a service that stops: what has not ended by now is not waited for any more."""
        self._letting_go.set()

    async def until_let_go(self) -> None:
        """For whoever waits for something else meanwhile."""
        await self._letting_go.wait()


class Condition(StrEnum):
    """How a part is, from best to worst."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look at one part showed. `cause` is one sentence for the administrator, when there is something to say."""

    condition: Condition = Condition.HEALTHY
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One part that can be looked at. `look` should not raise and should be quick; if not, that is a finding too."""

    name: str
    look: Callable[[], Awaitable[Finding]]


async def look_at(checks: Sequence[Check], patience: timedelta = PATIENCE) -> dict[str, Finding]:
    """Look at all parts at once, in order of their names as given."""
    async with asyncio.TaskGroup() as group:
        looks = {check.name: group.create_task(_look(check, patience)) for check in checks}
    return {name: look.result() for name, look in looks.items()}


async def _look(check: Check, patience: timedelta) -> Finding:
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return await check.look()
    except TimeoutError:
        return Finding(condition=Condition.UNHEALTHY, cause=f"No answer within {patience.total_seconds():g} seconds")
    except Exception:  # the outermost loop of a part's own code: one broken part must not hide the others
        log.exception("health check failed", extra={"check": check.name})
        return Finding(condition=Condition.UNHEALTHY, cause="The check itself failed; the log says why")


def overall(findings: dict[str, Finding]) -> Condition:
    """The worst of all."""
    order = list(Condition)
    return max((finding.condition for finding in findings.values()), key=order.index, default=Condition.HEALTHY)
