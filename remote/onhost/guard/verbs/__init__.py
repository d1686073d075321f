"""What the guard does for each request: one file a family of verbs, one line here a verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remote.onhost.guard.guard import Guard
from remote.onhost.guard.reply import Reply
from remote.onhost.guard.verbs import files, lease, network, processes

VERBS: dict[str, Callable[[Guard, Any, Reply], None]] = {
    "start": processes.start,
    "stop": processes.stop,
    "run": processes.run,
    "tail": files.tail,
    "read": files.read,
    "write": files.write,
    "remove": files.remove,
    "port": network.port,
    "tell": network.tell,
    "renew": lease.renew,
    "clock": lease.clock,
    "release": lease.release,
}
"""{verb: what it does}. A verb answers through its Reply, at once or later; it raises Refused or OSError."""
