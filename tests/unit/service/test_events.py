from __future__ import annotations

from service.events import JobEventBus
from service.model import Job
from tests.unit.service.test_model import a_job


def test_every_listener_hears_until_it_ends_its_subscription() -> None:
    bus, first, second = JobEventBus(), list[Job](), list[Job]()
    end = bus.subscribe(first.append)
    bus.subscribe(second.append)
    bus.publish(a_job())
    end()
    end()
    bus.publish(a_job())
    assert (len(first), len(second)) == (1, 2)
