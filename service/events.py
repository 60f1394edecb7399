"""In-process news of jobs: progress and transitions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from service.model import Job

Listener = Callable[[Job], None]


class JobEventBus:
    """Calls each listener at once, in the publisher's task: a listener must be quick and must not raise."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def publish(self, job: Job) -> None:
        for listener in tuple(self._listeners):
            listener(job)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Returns what ends the subscription; ending it twice is no error."""
        self._listeners.append(listener)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return end
