"""The job queue on DBOS: the only module that imports it. docs/adr/0001 and 0002 say why it is used in this manner."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sqlite3
import threading
import types
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import Job
from storage.database import PRAGMAS, give_subseconds
from storage.worker_lock import WorkerLock

QUEUE, WORKFLOW, CHORES, SCHEMA = "jobs", "job", "chores", "dbos"
MESSAGES, MESSAGE = "messages", "webhook"
"""The queue of webhooks, and the work in it."""
MESSAGES_AT_ONCE, MESSAGES_POLL_SECONDS = 8, 5.0
HOURLY = "0 17 * * * *"
"""With seconds, as the engine writes it: at seventeen minutes past, when few others do theirs."""
APPLICATION_VERSION = "1"
"""A constant: with the default, a hash of the code, queued jobs would stand still after an upgrade."""

SQLITE_EXECUTOR = "local"
LIVE_STATES = frozenset({"ENQUEUED", "PENDING", "DELAYED"})
QUEUE_THREAD, MESSAGES_THREAD, MANAGER_THREAD = f"queue-worker-{QUEUE}", f"queue-worker-{MESSAGES}", "(queue_thread)"
"""How the engine names the thread that polls our queue, and the one that starts such threads."""

IDLE_POLL_SECONDS = 1.0
BUSY_POLL_SECONDS = 0.1
BUSY_FOR_SECONDS = 60.0
RECOVERIES = 100
"""The engine's own limit is far off: `Downloads.run` counts the starts of a job itself and fails it with a reason."""

log = logging.getLogger("magpie.queue")
dbos_module: Any = importlib.import_module("dbos._dbos")
Handler = Callable[[uuid.UUID], Awaitable[None]]
Messenger = Callable[[uuid.UUID, int], Awaitable[None]]
Chores = Callable[[], Coroutine[Any, Any, None]]


class WakeableEvent(threading.Event):
    """The engine's stop event, on which its threads sleep between polls; `wake` ends the sleep of one kind of them.

    A wake-up that comes while the thread is busy ends its next sleep.
    """

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._woken: set[str] = set()
        self._is_held = False

    def set(self) -> None:
        super().set()
        with self._changed:
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        name = threading.current_thread().name
        mine = name if name in {QUEUE_THREAD, MESSAGES_THREAD} else MANAGER_THREAD if MANAGER_THREAD in name else ""
        with self._changed:
            self._changed.wait_for(lambda: self.is_set() or mine in self._woken, timeout)
            if self._is_held and mine in {QUEUE_THREAD, MESSAGES_THREAD}:
                self._changed.wait_for(lambda: self.is_set() or not self._is_held)
            self._woken.discard(mine)
        return self.is_set()

    def hold(self) -> None:
        """Whoever looks into a queue does not look again: what is in it is for other processes, or for the next start."""
        with self._changed:
            self._is_held = True

    def let_look(self) -> None:
        """After `hold`: as before."""
        with self._changed:
            self._is_held = False
            self._changed.notify_all()

    def wake(self, thread: str) -> None:
        with self._changed:
            self._woken.add(thread)
            self._changed.notify_all()


def _launch() -> WakeableEvent | None:
    """Launch the engine with a stop event that can be woken. None, and plain polling, should the engine have changed."""
    engine_threading = dbos_module.threading
    dbos_module.threading = types.ModuleType("threading")
    dbos_module.threading.__dict__.update({**vars(threading), "Event": WakeableEvent})
    try:
        DBOS.launch()
    finally:
        dbos_module.threading = engine_threading
    instance = dbos_module._get_dbos_instance()  # noqa: SLF001 - the engine offers no way to be woken
    events = [e for e in getattr(instance, "background_thread_stop_events", ()) if isinstance(e, WakeableEvent)]
    if not events:
        log.warning("the engine cannot be woken: jobs start at its next poll")
        return None
    return events[0]


def _system_engine(url: str) -> sa.Engine | None:
    """SQLite only: the engine's connections need our pragmas. On PostgreSQL DBOS makes its own."""
    if not url.startswith("sqlite:"):
        return None
    engine = sa.create_engine(url, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        give_subseconds(connection)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    return engine


class QueueClient:
    """Enters jobs into the queue from within the application's own transaction. Works beside a running service."""

    def __init__(self, url: str) -> None:
        self._engine = _system_engine(url)
        self._client = DBOSClient(system_database_url=url, system_database_engine=self._engine, dbos_system_schema=SCHEMA)

    async def enter(self, connection: AsyncConnection, jobs: Sequence[Job]) -> None:
        await connection.run_sync(self._enter, jobs)

    def _enter(self, connection: sa.Connection, jobs: Sequence[Job]) -> None:
        for job in jobs:
            options: EnqueueOptions = {
                "queue_name": QUEUE,
                "workflow_name": WORKFLOW,
                "workflow_id": workflow_id(job),
                "app_version": APPLICATION_VERSION,
                "queue_partition_key": job.lane,
            }
            self._client.enqueue_in_transaction(connection, options, str(job.id))

    async def enter_message(self, connection: AsyncConnection, message_id: uuid.UUID, number: int, delay: timedelta) -> None:
        options: EnqueueOptions = {
            "queue_name": MESSAGES,
            "workflow_name": MESSAGE,
            "workflow_id": f"{MESSAGE}:{message_id}:{number}:{uuid.uuid4().hex}",  # one that ended never runs again
            "app_version": APPLICATION_VERSION,
        }
        if delay:
            options["delay_seconds"] = delay.total_seconds()
        await connection.run_sync(lambda plain: self._client.enqueue_in_transaction(plain, options, str(message_id), number))

    async def cancel(self, job: Job) -> None:
        await asyncio.to_thread(self._client.cancel_workflow, workflow_id(job))

    async def known(self, jobs: Sequence[Job]) -> set[uuid.UUID]:
        """Those whose present attempt the engine will run, or is running."""
        by_id = {workflow_id(job): job.id for job in jobs}
        known: set[uuid.UUID] = set()
        for ids in batched(list(by_id), 500):
            found = await asyncio.to_thread(self._client.list_workflows, workflow_ids=ids, load_input=False, load_output=False)
            known |= {by_id[workflow.workflow_id] for workflow in found if workflow.status in LIVE_STATES}
        return known

    def wake(self) -> None:
        """The service polls; from here it cannot be woken."""

    async def forget(self) -> int:
        """Remove all that is kept of jobs and messages, but for messages that are being sent just now. Returns how many."""
        count = 0
        while True:
            found = await asyncio.to_thread(
                self._client.list_workflows, name=[WORKFLOW, MESSAGE], limit=10_000, offset=0, load_input=False, load_output=False
            )
            ids = [one.workflow_id for one in found if one.name == WORKFLOW or one.status != "PENDING"]
            for some in batched(ids, 500):
                await asyncio.to_thread(self._client.delete_workflows, some)
            count += len(ids)
            if not ids:
                return count

    async def close(self) -> None:
        await asyncio.to_thread(self._client.destroy)
        if self._engine is not None:
            self._engine.dispose()


def batched(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def workflow_id(job: Job) -> str:
    """An id that ever ended never runs again: so the attempt is part of it."""
    return f"{job.id}:{job.attempt}"


class JobEngine:
    """Runs jobs: one process on SQLite, any number on PostgreSQL. One a process.

    `start` must be awaited on the loop that the handler's objects belong to.
    """

    def __init__(self, url: str, handler: Handler, *, width: int, chores: Chores | None = None, messenger: Messenger | None = None) -> None:
        """`chores` are done once an hour, by one of all processes; `messenger` is given a webhook's message and the try's number."""
        self.url, self._handler, self._width, self._wanted = url, handler, width, width
        self._chores, self._messenger, self._has_messages = chores, messenger, False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._widening, self._tasks = asyncio.Lock(), set[asyncio.Task[None]]()
        self.is_sqlite = url.startswith("sqlite:")
        self.executor_id = SQLITE_EXECUTOR if self.is_sqlite else uuid.uuid4().hex
        self._running: set[asyncio.Task[Any]] = set()
        self._telling: set[asyncio.Task[Any]] = set()
        self._engine = _system_engine(url)
        self._client: QueueClient | None = None
        self._poll: WakeableEvent | None = None
        self._stopping = False
        self._watch: list[asyncio.Task[None]] = []
        self._lock: WorkerLock | None = None
        self._last_work = float("-inf")

    async def start(self) -> None:
        """Jobs that were running when the service died go on at once."""
        self._loop = asyncio.get_running_loop()
        self._last_work = self._loop.time()
        _calm_the_engines_log()
        self._width = self._wanted
        self._declare()
        self._poll = _launch()
        # The partition limit limits nothing: it is what makes the engine serve lane by lane, so that none starves.
        await DBOS.register_queue_async(
            QUEUE,
            worker_concurrency=self._width,
            partition_worker_concurrency=self._width,
            polling_interval_sec=IDLE_POLL_SECONDS if self._poll else BUSY_POLL_SECONDS,
        )
        await DBOS.register_queue_async(MESSAGES, worker_concurrency=MESSAGES_AT_ONCE, polling_interval_sec=MESSAGES_POLL_SECONDS)
        if self._chores is not None:
            await DBOS.apply_schedules_async([{"schedule_name": CHORES, "workflow_fn": self._hourly, "schedule": HOURLY}])
        if self._poll is not None:
            self._poll.wake(MANAGER_THREAD)
        self._client = await asyncio.to_thread(QueueClient, self.url)
        if not self.is_sqlite:
            self._lock = lock = WorkerLock(self.url, self.executor_id)
            await lock.take()
            self._watch = [asyncio.create_task(lock.keep(self._take_over)), asyncio.create_task(self._poll_fast_while_busy())]

    def widen(self, width: int) -> None:
        """Run so many jobs at once from now on; jobs that run go on."""
        self._wanted = width
        if self._client is not None and not self._widening.locked():
            task = asyncio.create_task(self._widen(), name="width")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @property
    def is_changing_width(self) -> bool:
        return self._wanted != self._width

    async def _widen(self) -> None:
        async with self._widening:
            while (width := self._wanted) != self._width:
                try:
                    await self._set_width(width)
                except Exception:
                    # The task's outermost frame; asked again, it is tried again.
                    log.exception("the number of downloads at once could not be changed", extra={"width": width})
                    return
                self._width = width
                if self._poll is not None:
                    self._poll.wake(QUEUE_THREAD)  # it reads its limits after each look into the queue
                log.info("so many downloads run at once from now on", extra={"width": width})

    async def _set_width(self, width: int) -> None:
        """The engine refuses a lane that would be wider than the queue: that bounds the order."""
        queue = await DBOS.retrieve_queue_async(QUEUE)
        if queue is None:
            return
        if width > self._width:
            await queue.set_worker_concurrency_async(width)
        await queue.set_partition_worker_concurrency_async(width)
        await queue.set_worker_concurrency_async(width)

    def _declare(self) -> None:
        config: DBOSConfig = {
            "name": "magpie",
            "system_database_url": self.url,
            "application_version": APPLICATION_VERSION,
            "executor_id": self.executor_id,
            "max_executor_threads": 16,
            "log_level": "WARNING",
            "scheduler_polling_interval_sec": 5.0,
            "notification_listener_polling_interval_sec": 0.2,  # unused here, but a stop waits for it
            "dbos_system_schema": SCHEMA,
        }
        if self._engine is not None:
            config["system_database_engine"] = self._engine
        DBOS(config=config)

        @DBOS.step(name="run", preemptible=True)
        async def step(job_id: str) -> None:
            await self._handler(uuid.UUID(job_id))

        @DBOS.workflow(name=CHORES)
        async def chores(scheduled_at: datetime, context: Any) -> None:
            del scheduled_at, context
            self._only_while_running()
            if self._chores is not None:
                await self._do_chores(self._chores)

        self._hourly = chores

        @DBOS.workflow(name=MESSAGE, max_recovery_attempts=RECOVERIES)
        async def webhook(message_id: str, number: int) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._only_while_running()
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
            if self._messenger is not None:
                await self._messenger(uuid.UUID(message_id), number)

        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=RECOVERIES)
        async def job(job_id: str) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._only_while_running()
            self._running.add(task)
            task.add_done_callback(self._ended)
            await step(job_id)

    def _only_while_running(self) -> None:
        """Else it is left for the next start. Raises `CancelledError`."""
        if self._stopping or asyncio.get_running_loop() is not self._loop:
            # The engine falls back on a loop of its own while ours does not run, which is when the process is about to end.
            raise asyncio.CancelledError

    async def _do_chores(self, chores: Chores) -> None:
        """Cut short, they are done at the next hour."""
        task = asyncio.ensure_future(chores())
        self._tasks.add(task)
        try:
            await asyncio.wait({task})
            if not task.cancelled() and (broken := task.exception()) is not None:
                log.error("the chores could not be done", exc_info=broken)
        finally:
            self._tasks.discard(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """A place is free: look for the next job now rather than at the next poll."""
        self._running.discard(task)
        self.wake()

    async def enter(self, connection: AsyncConnection, jobs: Sequence[Job]) -> None:
        assert self._client is not None, "the engine is not started"
        await self._client.enter(connection, jobs)

    async def enter_message(self, connection: AsyncConnection, message_id: uuid.UUID, number: int, delay: timedelta) -> None:
        assert self._client is not None, "the engine is not started"
        await self._client.enter_message(connection, message_id, number, delay)
        self._has_messages = True

    def wake(self) -> None:
        """Look into the queue now. The limits stay where they are: in the queue."""
        self._last_work = asyncio.get_running_loop().time()
        if self._stopping:
            return
        if self._poll is not None and len(self._running) < self._width:  # else the end of a job wakes it
            self._poll.wake(QUEUE_THREAD)
        if self._poll is not None and self._has_messages:
            self._has_messages = False
            self._poll.wake(MESSAGES_THREAD)

    async def cancel(self, job: Job) -> None:
        await DBOS.cancel_workflow_async(workflow_id(job))

    async def ended(self, before: datetime) -> list[str]:
        """Ids of what the engine keeps of work that ended before this moment."""
        found = await DBOS.list_workflows_async(
            completed_before=before.isoformat(), status=["SUCCESS", "ERROR", "CANCELLED"], limit=10_000, load_input=False, load_output=False
        )
        return [workflow.workflow_id for workflow in found]

    async def remove(self, ids: Sequence[str]) -> None:
        for some in batched(list(ids), 500):
            await DBOS.delete_workflows_async(some)

    async def known(self, jobs: Sequence[Job]) -> set[uuid.UUID]:
        assert self._client is not None, "the engine is not started"
        return await self._client.known(jobs)

    async def forget(self) -> int:
        """Remove all that the engine keeps: for when other jobs take the place of those that there are. Returns how many."""
        assert self._client is not None, "the engine is not started"
        return await self._client.forget()

    def hold(self) -> None:
        """Begin nothing until `go_on`."""
        if self._poll is not None:
            self._poll.hold()

    def go_on(self) -> None:
        if self._poll is not None and not self._stopping:
            self._poll.let_look()

    async def drain(self, patience: timedelta) -> int:
        """Begin nothing any more, and give what runs this time to end. Returns how many jobs it did not suffice for."""
        self._stopping = True
        if self._poll is not None:
            self._poll.hold()
        if self._running:
            await asyncio.wait(self._running, timeout=patience.total_seconds())
        return len(self._running)

    @property
    def running(self) -> int:
        """Jobs that run in this process."""
        return len(self._running)

    async def stop(self) -> int:
        """Let running jobs go: they stay pending in the engine and resume at the next start. Returns how many."""
        self._stopping = True
        for watch in (*self._watch, *self._tasks):
            watch.cancel()
        let_go = set(self._running)
        for task in (*let_go, *self._telling):
            task.cancel()
        await asyncio.gather(*self._watch, *self._tasks, *let_go, *self._telling, return_exceptions=True)
        if self._lock is not None:  # whoever keeps it may have been cancelled before it began
            await self._lock.close()
        # In a thread of its own: the engine shuts the loop's default executor down on the way.
        with ThreadPoolExecutor(1) as own:
            await asyncio.get_running_loop().run_in_executor(own, lambda: DBOS.destroy(workflow_completion_timeout_sec=0))
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="magpie"))
        if self._client is not None:
            await self._client.close()
        if self._engine is not None:
            self._engine.dispose()
        return len(let_go)

    async def _poll_fast_while_busy(self) -> None:
        """Other processes enter jobs too, and cannot wake this one."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(BUSY_POLL_SECONDS)
            if loop.time() - self._last_work < BUSY_FOR_SECONDS and self._poll is not None:
                self._poll.wake(QUEUE_THREAD)

    async def _take_over(self, lock: WorkerLock) -> None:
        """Resume the jobs of every worker whose lock is free: it is dead."""
        pending = await DBOS.list_workflows_async(status="PENDING", load_input=False, load_output=False)
        for executor in {workflow.executor_id for workflow in pending if workflow.executor_id} - {self.executor_id}:
            async with lock.of(executor) as is_free:
                if not is_free:
                    continue
                # Listed again under the lock: a peer may have been faster.
                left = await DBOS.list_workflows_async(status="PENDING", executor_id=executor, load_input=False, load_output=False)
                for workflow in left:
                    log.warning("worker is gone, its job is resumed", extra={"executor": executor, "workflow": workflow.workflow_id})
                    if workflow.name == CHORES:  # the next hour does them anyway
                        await DBOS.cancel_workflow_async(workflow.workflow_id)
                    else:
                        await DBOS.resume_workflow_async(workflow.workflow_id, queue_name=workflow.queue_name or QUEUE)


async def forget_work(url: str) -> None:
    """Where no engine runs: remove all that one kept of jobs and messages. There may never have been one."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as plain:
            found = plain.execute("select 1 from sqlite_master where name = 'workflow_status'").fetchone()
    else:
        connection = await asyncpg.connect(url)
        try:
            found = await connection.fetchval("select to_regclass($1)", f"{SCHEMA}.workflow_status")
        finally:
            await connection.close()
    if not found:
        return
    client = await asyncio.to_thread(QueueClient, url)
    try:
        await client.forget()
    finally:
        await client.close()


def _calm_the_engines_log() -> None:
    """It adds handlers of its own unless there is one, and reports each cancelled job as an error with a traceback."""
    engine_log = logging.getLogger("dbos")
    if not engine_log.handlers:
        engine_log.addHandler(logging.NullHandler())
    engine_log.propagate = True
    if not any(isinstance(f, _NoCancelNoise) for f in engine_log.filters):
        engine_log.addFilter(_NoCancelNoise())


class _NoCancelNoise(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        cause = record.exc_info[1] if record.exc_info else None
        expected = isinstance(cause, asyncio.CancelledError) or type(cause).__name__ in {
            "DBOSWorkflowCancelledError",
            "DBOSAwaitedWorkflowCancelledError",
        }
        if "no longer owned by this execution" in text:
            # Of a run whose row went with its link, or that another process has taken over: both are as they should be, and ours to tell.
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        return not (expected or "cancel" in text.lower() or "Conductor" in text or "conductor" in text)
