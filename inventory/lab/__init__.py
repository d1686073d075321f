"""The lab: real SSH hosts on one Linux machine, for benchmarks without other machines and for tests.

A host is an overlay of a bare Debian 12 (or another release) with its own network, PID, UTS, IPC and mount
namespaces, an address on a bridge, and sshd. It has no route out, no pip, no compiler, and one ordinary user.
The server host's processes run on the first half of the machine's cores, every other host's on the second.
"""

from inventory.lab.host import LabHost
from inventory.lab.lab import HostStatus, LabStatus, down, lab_hosts, status, up
from inventory.lab.spec import CACHE_DIRECTORY, STATE_DIRECTORY, LabSpec

__all__ = [
    "CACHE_DIRECTORY",
    "STATE_DIRECTORY",
    "HostStatus",
    "LabHost",
    "LabSpec",
    "LabStatus",
    "down",
    "lab_hosts",
    "status",
    "up",
]
