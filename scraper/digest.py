"""The SHA-256 of a file, computed while it arrives: afterwards it would take a third of a second for every 500 MB."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable
from pathlib import Path

_WAITING = 16
_READ = 1024 * 1024


class RunningDigest:
    """Takes what comes in order from the file's start; the rest, if any, is read from the file in the end."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._fed = 0
        # Bounded: a slow core must not fill the memory.
        self._blocks: queue.Queue[tuple[memoryview, Callable[[], None]] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def feed(self, at: int, block: memoryview, done: Callable[[], None]) -> None:
        """The block at this place of the file, which must not change until `done` is called.

        One that does not follow the last one is left for the end.
        """
        if at == self._fed:
            self._fed += len(block)
            self._blocks.put((block, done))
        else:
            done()

    def close(self) -> None:
        """No more blocks come. To be called once; waits for the thread."""
        self._blocks.put(None)
        self._thread.join()

    def of(self, path: Path) -> str:
        """In hex, of the whole file; after `close`."""
        with path.open("rb") as file:
            file.seek(self._fed)
            while block := file.read(_READ):
                self._digest.update(block)
                self._fed += len(block)
        return self._digest.hexdigest()

    def _run(self) -> None:
        while (entry := self._blocks.get()) is not None:
            block, done = entry
            self._digest.update(block)
            done()
