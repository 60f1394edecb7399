"""`/api/v1/settings/` and `/api/v1/audit`: for superusers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from service.audit import Act, AuditEntry, AuditTrail
from service.errors import InvalidSettings, MediaRootFixed
from service.settings import LiveSettings, Settings, SettingsChange
from webapi.accounts import Limit, Skip
from webapi.auth import Caller
from webapi.contract import SUPERUSERS, Api, Reply
from webapi.parameters import WHOLE, Query


class SettingsView(BaseModel):
    """What changes while the service runs. `max_concurrent_downloads` is per process; `media_root` is only shown."""

    link_monitor_interval_minutes: int
    max_concurrent_downloads: int
    media_root: str
    site_cookies_json: str


class SettingsWanted(BaseModel):
    """What is left out stays."""

    link_monitor_interval_minutes: Annotated[int, Field(ge=1, le=10080), WHOLE] | None = None
    max_concurrent_downloads: Annotated[int, Field(ge=1, le=64), WHOLE] | None = None
    media_root: Annotated[str, Field(max_length=4096)] | None = None
    site_cookies_json: Annotated[str, Field(max_length=65536)] | None = None


class AuditView(BaseModel):
    """One act: who did it, and to whose account."""

    id: int
    at: datetime
    user_id: int | None
    action: Act
    subject_id: int | None
    details: str | None


class SettingsEndpoints:
    """Both are looked after by superusers."""

    def __init__(self, settings: LiveSettings, trail: AuditTrail) -> None:
        self._settings, self._trail = settings, trail

    def register(self, api: Api) -> None:
        api.route("GET", "/api/v1/settings/", access=SUPERUSERS, tags=["Settings"])(self.get_settings)
        api.route("PUT", "/api/v1/settings/", access=SUPERUSERS, tags=["Settings"], faults=[InvalidSettings, MediaRootFixed])(
            self.put_settings
        )
        api.route("GET", "/api/v1/audit", access=SUPERUSERS, tags=["Settings"], answers={200: list[AuditView]})(self.get_audit)

    async def get_settings(self) -> SettingsView:
        """The settings as they are now."""
        return self._shown(await self._settings.refresh())

    async def put_settings(self, caller: Caller, wanted: SettingsWanted) -> SettingsView:
        """Change settings; every process has them within seconds."""
        return self._shown(await self._settings.change(caller.actor, SettingsChange(**wanted.model_dump())))

    async def get_audit(self, skip: Annotated[Skip, Query()] = 0, limit: Annotated[Limit, Query()] = 100) -> Reply:
        """What was done that matters for security, newest first."""
        found, count = await self._trail.page(skip=skip, limit=limit)
        return Reply([_entry(one) for one in found], headers={"X-Total-Count": str(count)})

    def _shown(self, settings: Settings) -> SettingsView:
        return SettingsView(
            link_monitor_interval_minutes=settings.link_monitor_interval_minutes,
            max_concurrent_downloads=self._settings.width,
            media_root=self._settings.media_root,
            site_cookies_json=settings.site_cookies_json,
        )


def _entry(one: AuditEntry) -> AuditView:
    assert one.id is not None
    return AuditView(id=one.id, at=one.at, user_id=one.account_id, action=one.action, subject_id=one.subject_id, details=one.details)
