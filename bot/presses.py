"""Double clicks on buttons that make something new each time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from service.errors import AlreadyChosen

A_MOMENT = 2.0
"""Seconds within which a second press of the same button is a double click."""
_REMEMBERED = 500


class Presses:
    """What was pressed a moment ago."""

    def __init__(self) -> None:
        self._pressed: OrderedDict[str, float] = OrderedDict()

    def once(self, what: str) -> None:
        """Raises `AlreadyChosen` for the second click of a double one."""
        now = asyncio.get_running_loop().time()
        before = self._pressed.pop(what, None)
        self._pressed[what] = now
        if len(self._pressed) > _REMEMBERED:
            self._pressed.popitem(last=False)
        if before is not None and now - before < A_MOMENT:
            raise AlreadyChosen
