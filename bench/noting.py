"""`magpie run`, which also notes when it publishes what: `python -m bench.noting FILE`. A line is a job, its `seq` and the time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from magpie.__main__ import main
from service.events import JobEventBus
from service.model import Job


def note_into(file: Path) -> None:
    """The time is the machine's monotonic one: other processes have the same."""
    publish, notes = JobEventBus.publish, file.open("w", buffering=1)

    def noted(self: JobEventBus, job: Job) -> None:
        at = time.monotonic()
        publish(self, job)
        notes.write(f"{job.id} {job.seq} {at}\n")

    JobEventBus.publish = noted  # type: ignore[method-assign] # of this process only


if __name__ == "__main__":
    note_into(Path(sys.argv[1]))
    sys.argv = ["magpie", "run"]
    main()
