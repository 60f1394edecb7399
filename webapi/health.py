"""How the service is, for machines: `/api/health`, `/api/health/simple`, `/health`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from service.health import Check, Condition, Finding, ServiceState, look_at, overall
from webapi.auth import Caller
from webapi.contract import EVERYBODY, Api, Reply


class SimpleHealth(BaseModel):
    """`ok`, or with a 503 what the service is busy with."""

    status: Literal["ok", "starting", "importing", "stopping"]


class CheckHealth(BaseModel):
    """One part of the service. The cause is shown to those who run it only."""

    name: str
    status: Condition
    cause: str | None = None


class Health(BaseModel):
    """The service as a whole is as its worst part; while it starts or stops it is unhealthy."""

    status: Condition
    state: Literal["starting", "ready", "importing", "stopping"]
    checks: list[CheckHealth]


class HealthEndpoints:
    """`checks` are looked at when somebody asks, and only while the service is ready."""

    def __init__(self, *, state: ServiceState, checks: Sequence[Check]) -> None:
        self._state, self._checks = state, tuple(checks)

    def register(self, api: Api) -> None:
        simple = {200: SimpleHealth, 503: SimpleHealth}
        full = {200: Health, 503: Health}
        api.route("GET", "/api/health/simple", access=EVERYBODY, tags=["Health"], answers=simple, while_not_ready=True)(self.simple_health)
        api.route("GET", "/api/health", access=EVERYBODY, tags=["Health"], answers=full, while_not_ready=True)(self.health)
        api.route("GET", "/health", access=EVERYBODY, tags=["Health"], answers=full, while_not_ready=True, operation_id="health_short")(
            self.health
        )

    async def simple_health(self) -> Reply:
        """Whether the service takes requests.

        Touches nothing but memory: 200 when ready, 503 while starting, importing or stopping.
        """
        if self._state.is_ready:
            return Reply(SimpleHealth(status="ok"))
        return Reply(SimpleHealth.model_validate({"status": self._state.state.value}), status=503, headers=_RETRY)

    async def health(self, caller: Caller) -> Reply:
        """How each part of the service is.

        200 when healthy or degraded, 503 when unhealthy. Callers without rights get names and states only.
        """
        if not self._state.is_ready:
            body = Health(status=Condition.UNHEALTHY, state=self._state.state.value, checks=[])
            return Reply(body, status=503, headers=_RETRY)
        findings = await look_at(self._checks)
        worst = overall(findings)
        checks = [_shown(name, finding, with_cause=caller.is_privileged) for name, finding in findings.items()]
        unhealthy = worst is Condition.UNHEALTHY
        return Reply(
            Health(status=worst, state="ready", checks=checks), status=503 if unhealthy else 200, headers=_RETRY if unhealthy else {}
        )


_RETRY = {"Retry-After": "2"}


def _shown(name: str, finding: Finding, *, with_cause: bool) -> CheckHealth:
    return CheckHealth(name=name, status=finding.condition, cause=finding.cause if with_cause else None)
