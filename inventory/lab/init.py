#!/usr/bin/python3 -IS
"""The first process of a lab host, in place of a real host's init. Shipped to the host as /sbin/init.

Alone, standard library of Python 3.11, no arguments. Starts sshd in the foreground with its log in
/var/log/sshd.log, and takes in every orphan of the host's PID namespace. From outside the namespace:

  SIGUSR1  start sshd, unless it runs
  SIGUSR2  end sshd; connections that it has accepted stay
  SIGKILL  the host's power cord: the kernel ends every process of the namespace

Its own words go to stderr, one line each.
"""

from __future__ import annotations

import os
import signal
import sys

SSHD = "/usr/sbin/sshd"
ARGUMENTS = [SSHD, "-D", "-E", "/var/log/sshd.log"]
# sshd insists on this folder, and /run is empty after each start.
PRIVILEGE_SEPARATION_DIRECTORY = "/run/sshd"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
AWAITED = {signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2}


def start_sshd() -> int | None:
    """Its process number; None, with a line on stderr, where it can't be started."""
    try:
        os.makedirs(PRIVILEGE_SEPARATION_DIRECTORY, mode=0o755, exist_ok=True)  # noqa: PTH103 (starts faster)
        return os.posix_spawn(SSHD, ARGUMENTS, ENVIRONMENT, setsigmask=[], setsigdef=[signal.SIGPIPE])
    except OSError as error:
        sys.stderr.write(f"init: sshd could not be started: {error}\n")
        return None


def ended_children() -> set[int]:
    """Every child that has ended since the last look; SIGCHLD comes once for several."""
    ended: set[int] = set()
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.add(pid)


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    sshd = start_sshd()
    while True:
        received = signal.sigwait(AWAITED)
        # At every signal: of several that wait, SIGCHLD isn't the first to come.
        if sshd in ended_children():
            sys.stderr.write("init: sshd has ended\n")
            sshd = None
        if received == signal.SIGUSR1:
            sshd = sshd or start_sshd()
        elif received == signal.SIGUSR2 and sshd is not None:
            os.kill(sshd, signal.SIGTERM)


if __name__ == "__main__":
    main()
