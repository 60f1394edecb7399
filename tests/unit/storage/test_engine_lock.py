from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import EngineBusy
from storage.engine_lock import EngineLock


def test_only_one_holds_the_lock_and_it_can_be_handed_on(tmp_path: Path) -> None:
    first, second = EngineLock(tmp_path / "lock"), EngineLock(tmp_path / "lock")
    first.take()
    with pytest.raises(EngineBusy):
        second.take()
    first.release()
    first.release()
    second.take()
    second.release()
