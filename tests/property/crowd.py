"""Loaded by schemathesis: each request comes from somebody else, as a trusted proxy tells it, so that no limit by address is reached."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import count
from typing import Any

import schemathesis

_ADDRESSES = count(int(IPv4Address("198.18.0.0")))  # a network for such tests (RFC 2544), 131,072 addresses


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    del context, kwargs
    case.headers["X-Forwarded-For"] = str(IPv4Address(next(_ADDRESSES)))
