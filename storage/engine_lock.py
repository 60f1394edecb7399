"""One engine a SQLite file: a second process with the same executor id would run the first one's jobs again."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from service.errors import EngineBusy


class EngineLock:
    """An advisory lock on a file beside the database. It goes with the process that holds it, however that ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises `EngineBusy` when another process holds it, `OSError` when the file cannot be made."""
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise EngineBusy from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Releasing it twice is no error."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
