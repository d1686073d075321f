"""Questions for passwords: whom they are about, how often they come, what the terminal shows meanwhile."""

from __future__ import annotations

import io
import time

import msgspec
import pytest
from rich.console import Console

from bench.environment.hosts import Host
from bench.errors import AuthenticationError, HostUnreachable
from remote.ssh.ask import outcomes_asking, terminal
from reports.terminal.progress import Progress

KEY = "/keys/locked"
HOSTS = tuple(Host(name, ()) for name in ("one", "two", "three"))


def refused(host: Host) -> AuthenticationError:
    return AuthenticationError(
        f"{host.name}: refused", key_file=KEY, takes_password=True, login=f"u@{host.name}"
    )


def enter(host: Host) -> str:
    """A door that knows one passphrase, and one password a host; ``three`` is out of reach."""
    if host.name == "three":
        raise HostUnreachable("three: off")
    if host.ssh_key_passphrase == "open" and host.name == "one":
        return "by key"
    if host.ssh_password == f"pass-{host.name}":
        return "by password"
    raise refused(host)


def test_a_passphrase_is_asked_once_a_key_then_a_password_once_a_host() -> None:
    asked: list[str] = []
    answers = {f"Passphrase of {KEY} (for one): ": "open", "Password of u@two (two): ": "pass-two"}

    def ask(question: str) -> str:
        asked.append(question)
        return answers[question]

    values, errors = outcomes_asking(enter, HOSTS, ask)
    assert values == {"one": "by key", "two": "by password"}
    assert list(errors) == ["three"]
    assert asked == list(answers)


def test_wrong_answers_end_in_the_hosts_own_error_and_no_second_question() -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return ""

    values, errors = outcomes_asking(enter, HOSTS[:2], ask)
    assert values == {}
    assert [str(error) for error in errors.values()] == ["one: refused", "two: refused"]
    assert len(asked) == len(set(asked)) == 3


def test_without_a_terminal_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert terminal() is None
    _, errors = outcomes_asking(enter, HOSTS, None)
    assert list(errors) == ["one", "two", "three"]


def test_a_host_that_knows_its_password_is_not_asked_for_it() -> None:
    known = msgspec.structs.replace(HOSTS[1], ssh_password="pass-two")
    assert outcomes_asking(enter, (known,), lambda _: "never") == ({"two": "by password"}, {})


def test_nothing_else_is_written_while_a_question_stands() -> None:
    written = io.StringIO()
    progress = Progress(Console(file=written, force_terminal=True))
    progress.start()
    try:
        progress.step("connecting")

        def ask(question: str) -> str:
            before = written.getvalue()
            time.sleep(1.5)  # the display refreshes every second
            assert written.getvalue() == before
            return "answer"

        asked = progress.quiet(ask)
        assert asked is not None
        assert asked("?") == "answer"
        before = written.getvalue()
        time.sleep(1.5)
        assert written.getvalue() != before
    finally:
        progress.stop()
    assert progress.quiet(None) is None
