"""What OpenSSH would do to reach a host: its own word where it is there, and no guess where it isn't."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import AsgibenchError, InventoryError
from remote.ssh.openssh import misread_lines, ssh_settings

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's client isn't here")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_openssh(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PATH", str(home / "empty"))
    yield home


def configure(home: Path, text: str) -> Path:
    file = home / ".ssh/config"
    file.write_text(text)
    return file


def said_by_ssh(file: Path, host: str) -> dict[str, str]:
    """The yardstick: what `ssh -G` prints."""
    done = subprocess.run(
        ["ssh", "-G", "-T", "-F", str(file), host], capture_output=True, text=True, check=True, timeout=20
    )
    return dict(reversed([line.split(" ", 1) for line in done.stdout.splitlines() if " " in line]))


@needs_ssh
@pytest.mark.parametrize(
    "text",
    [
        "Host web   # Bob's server\n  HostName 127.0.0.1\n",
        "Host web\n  Port 1   # behind the nat\n",
        "Host web\n  HostName 127.0.0.1   # in the rack\n  User deploy # not root\n",
        "Match host=web\n  User deploy\n",
        "Match final all\n  Port 7\n",
        "Host web\n  HostName %h.example.org\nMatch final host web.example.org\n  User deep\n",
        'Host "web"\n  User "de ploy"\n',
        "Host other\n  User wrong\nMatch originalhost web user root\n  Port 9\n",
        "Host web\n  ProxyJump a@gate:2222,b\n",
        "Host web\n  ProxyCommand none\n  ProxyJump none\n",
        "Host w?b !web\n  Port 3\nHost *\n  Port=4\n",
    ],
)
def test_a_configuration_is_read_as_openssh_reads_it(home: Path, text: str) -> None:
    file = configure(home, text)
    right = said_by_ssh(file, "web")
    found = ssh_settings("web", None, None)
    assert (found.host_name, found.port, found.user) == (
        right["hostname"],
        int(right["port"]),
        right["user"],
    )
    assert found.proxy_jump == right.get("proxyjump", "").replace("none", "")


@needs_ssh
def test_an_included_file_counts(home: Path) -> None:
    (home / "more").mkdir()
    (home / "more/hosts").write_text("Host web\n  HostName 127.0.0.1\n  Port 1\n")
    configure(home, f"Include {home}/more/*\n")
    found = ssh_settings("web", None, None)
    assert (found.host_name, found.port) == ("127.0.0.1", 1)


@needs_ssh
def test_the_inventorys_user_and_port_overrule_and_decide_matches(home: Path) -> None:
    configure(home, "Match user deploy\n  HostName 127.0.0.9\nHost web\n  Port 7\n  User other\n")
    found = ssh_settings("web", "deploy", 2222)
    assert (found.host_name, found.user, found.port) == ("127.0.0.9", "deploy", 2222)


@needs_ssh
def test_key_files_that_are_not_there_are_passed_over(home: Path) -> None:
    (home / "here").write_text("a key")
    configure(
        home,
        f"Host web\n  IdentityFile ~/.ssh/absent\n  IdentityFile {home}/here\n  IdentitiesOnly yes\n"
        "Host bare\n  IdentityFile none\n",
    )
    found = ssh_settings("web", None, None)
    assert (found.identity_files, found.identities_only) == ((f"{home}/here",), True)
    assert ssh_settings("bare", None, None).identity_files == ()


@needs_ssh
def test_known_hosts_an_alias_and_a_command_are_openssh_s(home: Path) -> None:
    configure(
        home,
        f"Host web\n  HostKeyAlias rack\n  UserKnownHostsFile {home}/mine /dev/null\n"
        "  ProxyCommand nc -x proxy %h %p %%\n  Port 2222\n",
    )
    found = ssh_settings("web", None, None)
    assert found.host_key_alias == "rack"
    assert found.known_hosts_files[:2] == (f"{home}/mine", "/dev/null")
    assert found.proxy_command == "nc -x proxy web 2222 %"
    assert f"{home}/.ssh/known_hosts" in ssh_settings("other", None, None).known_hosts_files


@needs_ssh
def test_a_configuration_that_openssh_refuses_is_one_line(home: Path) -> None:
    file = configure(home, "Host web\n  Frobnicate yes\n")
    with pytest.raises(InventoryError) as caught:
        ssh_settings("web", None, None)
    assert f"{file}" in caught.value.message
    assert "line 2" in caught.value.message
    assert "frobnicate" in caught.value.message.lower()
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- without OpenSSH


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Host web   # Bob's server\n", "line 1: a comment behind a value"),
        ("Host web\n  Port 22 # nat\n", "line 2: a comment behind a value"),
        ("Host a\n\nInclude config.d/*\n", "line 3: an Include isn't followed"),
        ("Match tagged lab\n  User deploy\n", "line 1: `Match tagged` can't be decided"),
        ("Match host web localnetwork 10.0.0.0/8\n", "line 1: `Match localnetwork` can't be decided"),
        ("Match version OpenSSH_9\n", "line 1: `Match version` can't be decided"),
        ("Match final all\n", "can't be read without OpenSSH"),
        ('Host "web\n', "can't be read without OpenSSH"),
        ("Host web\n  Port many\n", "its Port in ~/.ssh/config is 'many'"),
    ],
)
def test_what_cannot_be_read_without_openssh_is_said_by_its_line(
    no_openssh: Path, text: str, said: str
) -> None:
    configure(no_openssh, text)
    (no_openssh / ".ssh/config.d").mkdir()
    (no_openssh / ".ssh/config.d/hosts").write_text("Host web\n")
    with pytest.raises(InventoryError) as caught:
        ssh_settings("web", None, None)
    assert said in caught.value.message
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_what_can_be_read_without_openssh_counts(no_openssh: Path) -> None:
    home = no_openssh
    (home / ".ssh/id_ed25519").write_text("a key")
    configure(
        home,
        "# all of mine\nInclude nothing.d/*\n"
        "Host web\n  HostName 127.0.0.1\n  Port 2222\n  User deploy\n  ProxyJump a@gate:22,b\n"
        "Match host 127.0.0.1 user deploy\n  HostKeyAlias rack\n",
    )
    found = ssh_settings("web", None, None)
    assert (found.host_name, found.port, found.user) == ("127.0.0.1", 2222, "deploy")
    assert (found.proxy_jump, found.identity_files) == ("a@gate:22,b", (f"{home}/.ssh/id_ed25519",))
    bare = ssh_settings("other", "me", 7)
    assert (bare.host_name, bare.user, bare.port, bare.proxy_jump) == ("other", "me", 7, "")


KEYWORDS = ("Host", "Match", "Port", "User", "Include", "IdentityFile", "ProxyJump", "HostName", "#", "")
# No x: `Match exec` would run what is made up here.
VALUES = st.text(alphabet="web*?!=\"' #%h%,.:@/-0123456789allfinacotg\t", max_size=24)


@given(st.lists(st.tuples(st.sampled_from(KEYWORDS), st.sampled_from((" ", "=", "\t")), VALUES), max_size=6))
def test_no_text_is_a_traceback(lines: list[tuple[str, str, str]]) -> None:
    """Without OpenSSH: a line that is refused, or settings."""
    text = "\n".join(key + between + value for key, between, value in lines)
    with pytest.MonkeyPatch.context() as patch:
        home = Path(patch_home(patch))
        (home / ".ssh/config").write_text(text)
        try:
            found = ssh_settings("web", None, None)
        except AsgibenchError as error:
            assert "\n" not in str(error)
        else:
            assert found.port >= 0
    assert all(re.fullmatch(r"[^\n]+", problem) for _, problem in misread_lines(text, home))


def patch_home(patch: pytest.MonkeyPatch) -> str:
    import tempfile

    home = tempfile.mkdtemp()
    (Path(home) / ".ssh").mkdir()
    patch.setenv("HOME", home)
    patch.setenv("PATH", home)
    return home
