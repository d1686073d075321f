"""Host keys, against real SSH servers in this process and through a real Fabric connection."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from bench.environment.hosts import Host
from bench.errors import HostKeyError, HostUnreachable
from remote.ssh.connect import connect
from remote.ssh.hop import HostKeys
from remote.ssh.known_hosts import (
    fingerprint,
    inventory_known_hosts,
    lookup_name,
    parse_line,
    pin,
    read_known_hosts,
    scan_host_key,
)

PASSWORD = "let me in"
TIMEOUT_SECONDS = 10.0


class PasswordServer(paramiko.ServerInterface):  # type: ignore[misc]
    def check_auth_password(self, username: str, password: str) -> int:
        return int(paramiko.AUTH_SUCCESSFUL if password == PASSWORD else paramiko.AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:
        return "password"


@contextlib.contextmanager
def ssh_server(*keys: paramiko.PKey) -> Iterator[int]:
    """An SSH server with these host keys on loopback, which lets everybody with the password in; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(accepted)
            transport.set_log_channel("asgibench.scan")
            for key in keys:
                transport.add_server_key(key)
            transports.append(transport)
            with contextlib.suppress(paramiko.SSHException, EOFError):
                transport.start_server(event=threading.Event(), server=PasswordServer())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(TIMEOUT_SECONDS)
        for transport in transports:
            transport.close()
            transport.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()


def ed25519_key(folder: Path) -> paramiko.PKey:
    """A new key; paramiko makes none of this type itself."""
    file = folder / f"key-{len(list(folder.iterdir()))}"
    private = ed25519.Ed25519PrivateKey.generate()
    file.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    return paramiko.Ed25519Key.from_private_key_file(str(file))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, paramiko.PKey]:
    folder = tmp_path_factory.mktemp("keys")
    return {
        "ed25519": ed25519_key(folder),
        "other": ed25519_key(folder),
        "ecdsa": paramiko.ECDSAKey.generate(),
        "rsa": paramiko.RSAKey.generate(2048),
    }


def host_at(port: int) -> Host:
    return Host(
        name="here",
        groups=("server",),
        ssh_host="127.0.0.1",
        ssh_port=port,
        ssh_user="bench",
        ssh_password=PASSWORD,
        address="127.0.0.1",
    )


def line_of(name: str, key: paramiko.PKey) -> str:
    return f"{name} {key.get_name()} {key.get_base64()}\n"


def connects(port: int, *files: Path) -> bool:
    connection = connect(host_at(port), HostKeys(files, "lab"))
    try:
        return connection.is_alive()
    finally:
        connection.close()


def test_unknown_key_is_rejected_with_its_fingerprint_and_the_command_that_pins_it(
    keys: dict[str, paramiko.PKey], tmp_path: Path
) -> None:
    with ssh_server(keys["ed25519"]) as port, pytest.raises(HostKeyError) as caught:
        connects(port, tmp_path / "none")
    assert f"here: the host key of [127.0.0.1]:{port} is unknown" in caught.value.message
    assert f"ssh-ed25519 {fingerprint(keys['ed25519'])}" in caught.value.message
    assert "./invoke hosts.trust --hosts lab" in caught.value.remedy


def test_scanned_and_pinned_key_is_accepted(keys: dict[str, paramiko.PKey], tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    with ssh_server(keys["ed25519"], keys["rsa"]) as port:
        pin(file, "127.0.0.1", port, scan_host_key("127.0.0.1", port, TIMEOUT_SECONDS))
        assert connects(port, file)


def test_changed_key_is_rejected_with_both_fingerprints(
    keys: dict[str, paramiko.PKey], tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    with ssh_server(keys["other"]) as port:
        pin(file, "127.0.0.1", port, [keys["ed25519"]])
        with pytest.raises(HostKeyError, match="has changed") as caught:
            connects(port, file)
    assert f"known is ssh-ed25519 {fingerprint(keys['ed25519'])}" in caught.value.message
    assert f"shows ssh-ed25519 {fingerprint(keys['other'])}" in caught.value.message


def test_the_server_is_asked_for_the_type_that_is_known(
    keys: dict[str, paramiko.PKey], tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    with ssh_server(keys["ed25519"], keys["rsa"]) as port:
        pin(file, "127.0.0.1", port, [keys["rsa"]])
        assert connects(port, file)


def test_key_of_another_type_than_the_known_one_is_rejected(
    keys: dict[str, paramiko.PKey], tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    with ssh_server(keys["ecdsa"]) as port:
        pin(file, "127.0.0.1", port, [keys["ed25519"]])
        with pytest.raises(HostKeyError, match="is of another type"):
            connects(port, file)


def test_first_file_wins_over_an_old_line_in_a_later_one(
    keys: dict[str, paramiko.PKey], tmp_path: Path
) -> None:
    with ssh_server(keys["ed25519"]) as port:
        own, old = tmp_path / "own", tmp_path / "old"
        pin(own, "127.0.0.1", port, [keys["ed25519"]])
        pin(old, "127.0.0.1", port, [keys["other"]])
        assert connects(port, own, old)


@pytest.mark.parametrize("pattern", ["[127.0.0.*]:*", "other,[127.0.0.1]:{port}", "[127.0.0.?]:{port}"])
def test_patterns_and_lists_of_names_work(
    pattern: str, keys: dict[str, paramiko.PKey], tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    with ssh_server(keys["ed25519"]) as port:
        file.write_text(line_of(pattern.format(port=port), keys["ed25519"]))
        assert connects(port, file)


def test_hashed_entries_work(keys: dict[str, paramiko.PKey], tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    with ssh_server(keys["ed25519"]) as port:
        hashed = paramiko.HostKeys.hash_host(lookup_name("127.0.0.1", port))
        file.write_text(line_of(hashed, keys["ed25519"]))
        assert connects(port, file)
        pin(file, "127.0.0.1", port, [keys["other"]])
    assert file.read_text() == line_of(f"[127.0.0.1]:{port}", keys["other"])


def test_entry_hashed_by_openssh_is_found(keys: dict[str, paramiko.PKey], tmp_path: Path) -> None:
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        pytest.skip("ssh-keygen is not installed")
    file = tmp_path / "known_hosts"
    file.write_text(line_of("box.example", keys["ed25519"]))
    subprocess.run([keygen, "-H", "-f", file], check=True, capture_output=True)
    assert file.read_text().startswith("|1|")
    assert read_known_hosts([file]).check("box.example", keys["ed25519"])
    assert not read_known_hosts([file]).check("fox.example", keys["ed25519"])
    shown = subprocess.run([keygen, "-l", "-f", file], check=True, capture_output=True, text=True).stdout
    assert fingerprint(keys["ed25519"]) in shown


def test_revoked_key_is_rejected_even_where_it_is_also_known(
    keys: dict[str, paramiko.PKey], tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    with ssh_server(keys["ed25519"]) as port:
        pin(file, "127.0.0.1", port, [keys["ed25519"]])
        file.write_text(file.read_text() + "@revoked " + line_of("*", keys["ed25519"]))
        with pytest.raises(HostKeyError, match="marked as revoked"):
            connects(port, file)


def test_negated_pattern_excludes_a_host(keys: dict[str, paramiko.PKey], tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(line_of("*.example,!bad.example", keys["rsa"]))
    known = read_known_hosts([file])
    assert known.check("GOOD.example", keys["rsa"])
    assert not known.check("bad.example", keys["rsa"])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# comment",
        "only two",
        "host ssh-ed25519 !!!",
        "host ssh-ed25519 QUJD",
        "host ssh-unheard-of QUJD",
        "|1|x|y ssh-ed25519 QUJD",
        "@cert-authority *.example ssh-rsa",
    ],
)
def test_damaged_line_makes_nothing_known_and_stays_in_the_file(
    line: str, keys: dict[str, paramiko.PKey], tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{line}\n{line_of('box', keys['rsa'])}")
    assert read_known_hosts([file]).lookup("host") is None
    assert read_known_hosts([file]).check("box", keys["rsa"])
    pin(file, "new", 22, [keys["ecdsa"]])
    assert file.read_text().startswith(f"{line}\n")


def test_unreadable_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "known_hosts").mkdir()
    with pytest.raises(HostKeyError, match="known_hosts: the known host keys can't be read"):
        read_known_hosts([tmp_path / "known_hosts"])


def test_scan_finds_one_key_of_each_type(keys: dict[str, paramiko.PKey]) -> None:
    with ssh_server(keys["rsa"], keys["ecdsa"], keys["ed25519"]) as port:
        found = scan_host_key("127.0.0.1", port, TIMEOUT_SECONDS)
    assert [fingerprint(key) for key in found] == [
        fingerprint(keys[name]) for name in ("ed25519", "ecdsa", "rsa")
    ]


def test_scan_takes_another_way_to_the_host(keys: dict[str, paramiko.PKey]) -> None:
    opened: list[int] = []
    with ssh_server(keys["ecdsa"]) as port:

        def open_socket() -> socket.socket:
            opened.append(port)
            return socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)

        found = scan_host_key("behind.the.jump", 22, TIMEOUT_SECONDS, open_socket=open_socket)
    assert found == [keys["ecdsa"]]
    assert len(opened) == 3


def test_scan_of_a_closed_port_and_of_another_service_is_unreachable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(HostUnreachable, match="no SSH handshake"):
            scan_host_key("127.0.0.1", port, TIMEOUT_SECONDS)
        thread.join(TIMEOUT_SECONDS)
    with pytest.raises(HostUnreachable, match=f"127.0.0.1 port {port}"):
        scan_host_key("127.0.0.1", port, TIMEOUT_SECONDS)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_pin_replaces_only_this_hosts_lines(keys: dict[str, paramiko.PKey], tmp_path: Path) -> None:
    file = tmp_path / "folder" / "known_hosts"
    pin(file, "Box", 22, [keys["ed25519"], keys["rsa"]])
    file.write_text(
        file.read_text()
        + "# a comment\n"
        + line_of("box,fox", keys["ecdsa"])
        + line_of("[box]:2222", keys["ecdsa"])
        + line_of("b*", keys["ecdsa"])
        + "@revoked "
        + line_of("box", keys["ecdsa"])
    )
    file.chmod(0o600)
    pin(file, "box", None, [keys["other"]])
    assert file.read_text() == (
        "# a comment\n"
        + line_of("fox", keys["ecdsa"])
        + line_of("[box]:2222", keys["ecdsa"])
        + line_of("b*", keys["ecdsa"])
        + "@revoked "
        + line_of("box", keys["ecdsa"])
        + line_of("box", keys["other"])
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["known_hosts"]


def test_pins_at_the_same_time_lose_nothing(keys: dict[str, paramiko.PKey], tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    names = [f"box{number}" for number in range(12)]

    def pin_one(name: str) -> None:
        pin(file, name, 22, [keys["ed25519"]])

    threads = [threading.Thread(target=pin_one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert sorted(line.split()[0] for line in file.read_text().splitlines()) == sorted(names)


def test_pin_without_keys_is_refused(tmp_path: Path) -> None:
    none: Sequence[paramiko.PKey] = ()
    with pytest.raises(ValueError, match="nothing to pin"):
        pin(tmp_path / "known_hosts", "box", 22, none)
    assert not (tmp_path / "known_hosts").exists()


def test_keys_are_pinned_beside_the_inventory() -> None:
    file = inventory_known_hosts(Path("/somewhere/inventory/lab.yml"))
    assert file == Path("/somewhere/inventory/known_hosts")


def test_names_carry_ports_other_than_22() -> None:
    assert lookup_name("Box", None) == lookup_name("box", 22) == "box"
    assert lookup_name("::1", 2222) == "[::1]:2222"
    line = parse_line("[::1]:2222\tssh-rsa QUJD a comment")
    assert line is not None
    assert line.matches("[::1]:2222")
