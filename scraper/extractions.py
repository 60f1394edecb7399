"""What a site said of an address, kept for ten minutes: who orders what was described does not ask the site again.

The files hold signed addresses and cookies: nobody else may read them, and each is of one trust class. They outlive the service.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

KEPT_FOR = timedelta(minutes=10)
MOST_KEPT = 100


class Extractions:
    """The kept ones, seen from the service. Expired ones are removed by `sweep`, and the oldest of more than `most`."""

    def __init__(
        self, directory: Path, *, kept_for: timedelta = KEPT_FOR, most: int = MOST_KEPT, now: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self.kept_for = kept_for
        self._most = most
        self._now = now

    def place(self, address: str, trust_class: str) -> Path:
        """Where the extraction of this address is kept, whether it is there or not."""
        name = hashlib.sha256(f"{trust_class}\n{address}".encode()).hexdigest()
        return self._directory / f"{name}.json"

    def fresh(self, address: str, trust_class: str) -> Path | None:
        """The kept extraction, if there is one that has not expired."""
        place = self.place(address, trust_class)
        try:
            made = place.stat().st_mtime
        except OSError:
            return None
        return place if self._is_fresh(made) else None

    def sweep(self) -> None:
        """Blocks for a moment."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = []
        for path in self._directory.iterdir():
            with contextlib.suppress(FileNotFoundError):
                kept.append((path.stat().st_mtime, path))
        kept.sort(reverse=True)
        for number, (made, path) in enumerate(kept):
            if number >= self._most or not self._is_fresh(made):
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """All of them: those whom the trust classes name may be others from now on. Blocks for a moment."""
        for path in self._directory.glob("*.json"):
            path.unlink(missing_ok=True)

    def _is_fresh(self, made: float) -> bool:
        # One from the future means that the clock was changed: its age is not known.
        return -1 <= self._now() - made < self.kept_for.total_seconds()
