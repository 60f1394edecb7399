"""Fixtures of these suites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backups import prepared_database


@pytest.fixture(params=["sqlite", "postgresql"])
def target_url(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> Iterator[str]:
    """A database of either kind that a backup goes into."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    with prepared_database(request.param, tmp_path / "target", migrated_file, server) as url:
        yield url
