"""Settings as they are kept: what was written is read again, and of what cannot be read nothing is."""

from __future__ import annotations

import pytest

from service.errors import InvalidSettings
from service.settings import Settings, _read, _written, settings_from

UNREADABLE = [
    "",
    "{",
    "[]",
    "5",
    "null",
    '"x"',
    '{"max_concurrent_downloads": "2"}',
    '{"max_concurrent_downloads": 0}',
    '{"max_concurrent_downloads": true}',
    '{"link_monitor_interval_minutes": 1e300}',
    '{"link_monitor_interval_minutes": null}',
    '{"link_monitor_interval_minutes": 60.5}',
    '{"site_cookies_json": {}}',
    '{"site_cookies_json": "[]"}',
    "[" * 100_000,
]


@pytest.mark.parametrize("kept", UNREADABLE, ids=lambda kept: kept[:60])
def test_what_cannot_be_read_says_so(kept: str) -> None:
    with pytest.raises(InvalidSettings):
        settings_from(kept)


@pytest.mark.parametrize("kept", UNREADABLE, ids=lambda kept: kept[:60])
def test_with_what_cannot_be_read_the_defaults_hold(kept: str) -> None:
    assert _read(kept) == Settings()


def test_what_was_written_is_read_again() -> None:
    settings = Settings(link_monitor_interval_minutes=5, max_concurrent_downloads=7, site_cookies_json='{"pixiv": "pixiv.txt"}')
    assert settings_from(_written(settings)) == settings


def test_what_another_version_kept_besides_is_passed_over() -> None:
    assert settings_from('{"max_concurrent_downloads": null, "more": 1}') == Settings()
