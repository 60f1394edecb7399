"""What is to go wrong: the scripted half of `BotApi`."""

from __future__ import annotations

from sandbox.bot_api.errors import Refused
from sandbox.bot_api.faults import Cut, Fault, Faults, Hook


class Script:
    """Faults for the bot's next requests; `*` as a method means any."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def fail_next(
        self, method: str, code: int, description: str, times: int = 1, *, chat_id: int | None = None, retry_after: int | None = None
    ) -> None:
        """Refuse so many requests with this. `retry_after` is in seconds."""
        refusal = Refused(code, description, retry_after=retry_after)
        self._faults.plan(Fault(method=method, times=times, chat_id=chat_id, refusal=refusal))

    def hang_next(self, method: str, seconds: float, times: int = 1, *, chat_id: int | None = None) -> None:
        """Leave so many requests lying for so long before they are accepted."""
        self._faults.plan(Fault(method=method, times=times, chat_id=chat_id, seconds=seconds))

    def cut_next(self, method: str, *, after_accepting: bool, times: int = 1, chat_id: int | None = None) -> None:
        """Close the connection without an answer: before anything happened, or after it did."""
        self._faults.plan(Fault(method=method, times=times, chat_id=chat_id, cut=Cut.AFTER if after_accepting else Cut.BEFORE))

    def hold(self, method: str) -> None:
        """From now on accept requests of this method and do not answer them."""
        self._faults.hold(method)

    def release(self, method: str | None = None) -> None:
        """Answer what is held, and hold no more; None means all methods."""
        self._faults.release(method)

    def held(self, method: str) -> int:
        """How many requests of this method are accepted and wait for their answer."""
        return self._faults.held[method]

    def clear_faults(self) -> None:
        """Forget what was planned, and release what is held."""
        self._faults.clear()

    @property
    def before_answer(self) -> Hook | None:
        """Awaited with method and arguments after a request is accepted and before it is answered."""
        return self._faults.before_answer

    @before_answer.setter
    def before_answer(self, hook: Hook | None) -> None:
        self._faults.before_answer = hook
