"""What a server can be set up to serve: its words, its environment, and why it can't."""

from __future__ import annotations

import ssl
import tomllib
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from bench.catalogue.command import command_of, config_text
from bench.catalogue.serving import (
    ALL_TRANSPORTS,
    ALL_WIRES,
    LISTEN_WORD,
    PROTOCOL_WORD,
    for_serving,
    group_for,
    servings,
    why_not,
)
from bench.catalogue.versions import in_range
from bench.errors import CatalogueError, UsageError
from bench.spec import USUAL_SERVING, ServerSpec, Serving, Transport
from remote.certificate import make_certificate
from tests.helpers.endpoints import load_catalogue

ROOT = Path(__file__).resolve().parents[2]
SERVERS = load_catalogue().servers
OLD = """
[servers.old]
package = "uvicorn"
environment_group = "server-uvicorn"
command = ["uvicorn", "{app}", "--port", "{port}", "-l", "{loop}", "--backlog", "{backlog}", "{access_log}"]
access_log_off = ["--no-access-log"]
[servers.old.unhonoured_settings]
keep_alive_seconds = "5"
"""


def words(spec: ServerSpec, serving: Serving) -> str:
    return " ".join(
        command_of(
            in_range(spec, spec.version_ranges[0]) if spec.version_ranges else spec,
            host="127.0.0.1",
            port=8000,
            workers=1,
            config_path="/w/config",
            program_directory="/e/bin",
            serving=serving,
            app="other.app:app",
            certificate="/w/certificate.pem",
            key="/w/key.pem",
            socket="/w/socket",
        )
    )


def catalogue_with(folder: Path, text: str) -> ServerSpec:
    path = folder / "mine.toml"
    path.write_text(text)
    return load_catalogue(path).servers[-1]


# ---------------------------------------------------------------- the entries that are shipped


@pytest.mark.parametrize("spec", SERVERS, ids=lambda spec: spec.name)
def test_every_entry_says_of_every_protocol_how_or_why_not(spec: ServerSpec) -> None:
    """None is left unsaid: a reason is the server's, not its entry's."""
    for transport in ALL_TRANSPORTS:
        for protocol in ALL_WIRES:
            reason = why_not(spec, Serving(transport, protocol))
            assert reason is None or "doesn’t say" not in reason, (transport, protocol)
    for transport in ALL_TRANSPORTS:
        assert why_not(spec, Serving(transport)) is None


@pytest.mark.parametrize("spec", SERVERS, ids=lambda spec: spec.name)
def test_every_serving_has_its_own_words_and_no_others(spec: ServerSpec) -> None:
    needed = {"tcp": ("8000",), "tls": ("8000", "/w/certificate.pem", "/w/key.pem"), "unix": ("/w/socket",)}
    for serving in servings(spec):
        command = words(spec, serving)
        assert "{" not in command
        assert "other.app:app" in command
        for transport, parts in needed.items():
            assert transport != serving.transport or all(part in command for part in parts), command
        assert ("/w/key.pem" in command) == (serving.transport == "tls")
        assert ("/w/socket" in command) == (serving.transport == "unix")
        if spec.config_file:
            assert config_text(spec, host="h", port=1, workers=1, serving=serving)


def test_what_the_paper_says_of_protocols_can_be_asked_of_its_servers() -> None:
    """Of the three alone: HTTP/2 by daphne and hypercorn, HTTP/3 by hypercorn."""
    spoken = {
        spec.name: {one.protocol for one in servings(spec)}
        for spec in SERVERS
        if spec.version_set == "paper" and spec.family
    }
    assert spoken == {
        "uvicorn-paper": {"http/1.1", "websocket"},
        "daphne-paper": {"http/1.1", "websocket", "h2"},
        "hypercorn-paper": {"http/1.1", "websocket", "h2", "h3"},
    }


def test_what_would_switch_http2_on_is_in_no_environment_of_daphnes_http1() -> None:
    """Trap: with h2 and priority installed Twisted speaks HTTP/2 without being asked."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for name in ("daphne", "daphne-paper"):
        spec = load_catalogue().server(name)
        assert {group_for(spec, one) for one in servings(spec) if one.protocol != "h2"} == {spec.group}
        assert not [one for one in groups[spec.group] if one.startswith(("h2", "priority", "twisted"))]
        apart = groups[group_for(spec, Serving("tls", "h2"))]
        assert [one for one in apart if one.startswith(("h2>", "priority"))]
        assert why_not(spec, Serving("tcp", "h2")) == why_not(spec, Serving("unix", "h2"))


def test_http3_is_nowhere_without_tls() -> None:
    assert [one.transport for spec in SERVERS for one in servings(spec) if one.protocol == "h3"] == [
        "tls"
    ] * 6


def test_requirements_of_a_protocol_come_to_the_entrys_own() -> None:
    spec = load_catalogue().server("gunicorn-asgi")
    h2 = for_serving(spec, Serving("tls", "h2"))
    assert set(h2.requirements) == {*spec.requirements, "h2>=4.4.1"}
    assert group_for(spec, Serving("tls", "h2")) == h2.group != spec.group
    assert group_for(spec, Serving("unix")) == spec.group


def test_an_entry_for_a_serving_is_complete_in_itself() -> None:
    for spec in SERVERS:
        for serving in servings(spec):
            one = for_serving(spec, serving)
            assert not one.listen and not one.protocols
            assert LISTEN_WORD not in one.command and PROTOCOL_WORD not in one.command
        assert for_serving(for_serving(spec)) == for_serving(spec)


# ---------------------------------------------------------------- files of users


def test_an_entry_without_tables_serves_http1_over_tcp_alone(tmp_path: Path) -> None:
    spec = catalogue_with(tmp_path, OLD)
    assert list(servings(spec)) == [USUAL_SERVING]
    assert words(spec, USUAL_SERVING).startswith("/e/bin/uvicorn other.app:app --port 8000")
    for serving, complaint in (
        (Serving("tls"), "can't serve HTTP/1.1 over TLS: its entry .* doesn’t say how it listens on TLS"),
        (Serving("tcp", "websocket"), "doesn’t say how it speaks WebSocket"),
        (Serving("tcp", "h3"), "QUIC"),
    ):
        with pytest.raises(UsageError, match=complaint):
            words(spec, serving)
        with pytest.raises(UsageError, match=complaint):
            config_text(spec, host="h", port=1, workers=1, serving=serving)


@pytest.mark.parametrize(
    ("text", "transports", "protocols"),
    [
        ('settings = { http_parser = "h11" }', "tcp tls unix", "http/1.1 websocket"),
        # Another environment may lack what WebSocket needs; another command may have no place for it.
        ('requirements = ["uvicorn==0.50"]', "tcp tls unix", "http/1.1"),
        (
            'command = ["uvicorn", "{app}", "--port", "{port}", "-l", "{loop}", "-h", "{http_parser}", "-k", '
            '"{keep_alive_seconds}", "--backlog", "{backlog}", "{access_log}", "{flags}"]',
            "tcp",
            "http/1.1",
        ),
    ],
)
def test_an_entry_like_a_shipped_one_takes_over_what_it_surely_has(
    tmp_path: Path, text: str, transports: str, protocols: str
) -> None:
    spec = catalogue_with(tmp_path, f'[servers.mine]\nlike = "uvicorn"\n{text}\n')
    found = list(servings(spec))
    assert list(dict.fromkeys(one.transport for one in found)) == transports.split()
    assert list(dict.fromkeys(one.protocol for one in found)) == protocols.split()
    assert spec.set_up == ""


def test_another_configuration_file_drops_protocols_that_have_their_own(tmp_path: Path) -> None:
    spec = catalogue_with(
        tmp_path,
        '[servers.mine]\nlike = "gunicorn-uvicorn"\n'
        "config_file = \"worker_class = 'uvicorn_worker.UvicornWorker' # {loop} {http_parser}\"\n",
    )
    assert {one.protocol for one in servings(spec)} == {"http/1.1"}


LISTENING = OLD.replace('"--port", "{port}"', '"{listen}", "{protocol}"')
LISTEN = 'listen = { tcp = ["--port", "{port}"], tls = ["--cert", "{certificate}"], unix = ["{socket}"] }\n'


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('"{listen}", ', "", "listen must have a place"),
        (LISTEN, "", "listen must have a place"),
        ('tcp = ["--port", "{port}"], ', "", "listen has no tcp"),
        ("{certificate}", "{socket}", "unknown placeholder {socket}"),
        ("{socket}", "{key}", "unknown placeholder {key}"),
        ("tls =", "tsl =", "tsl"),
        ('"{protocol}", ', "", "flags of protocols must have a place"),
        ('h2 = { flags = ["--h2"] }', 'h4 = { flags = ["--h2"] }', "h4"),
        ('flags = ["--h2"]', 'flag = ["--h2"]', "unknown field `flag`"),
        ('flags = ["--h2"]', 'flags = ["{h2}"]', "unknown placeholder {h2}"),
        ('flags = ["--h2"]', 'flags = ["-x"], requirements = ["h2"]', "has requirements, not an env"),
        ('"server-uvicorn"', '""\nrequirements = ["uvicorn"]', "has an environment_group, not requ"),
        ("package =", 'set_up = "fastest"\npackage =', "set_up"),
    ],
)
def test_a_slip_in_the_tables_is_told(tmp_path: Path, before: str, after: str, complaint: str) -> None:
    text = LISTENING.replace("package", f"{LISTEN}package", 1)
    text += '[servers.old.protocols]\nh2 = { flags = ["--h2"] }\nwebsocket = { environment_group = "x" }\n'
    assert catalogue_with(tmp_path, text).protocols
    assert before in text
    with pytest.raises(CatalogueError) as failure:
        catalogue_with(tmp_path, text.replace(before, after, 1))
    assert complaint in f"{failure.value.message} {failure.value.remedy}"


# ---------------------------------------------------------------- certificates


def test_a_certificate_is_of_the_servers_names_and_its_key_is_never_shown(tmp_path: Path) -> None:
    made = make_certificate(["10.0.0.7", "web-1.example", "fe80::1%eth0"])
    parsed = x509.load_pem_x509_certificate(made.certificate)
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"localhost", "web-1.example"}
    addresses = {str(one) for one in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "::1", "10.0.0.7", "fe80::1"}
    assert made.key.startswith(b"-----BEGIN PRIVATE KEY-----")  # PKCS #8, as granian wants it
    assert "PRIVATE" not in repr(made) and "PRIVATE" not in f"{[made]}"
    for name, content in (("certificate", made.certificate), ("key", made.key)):
        (tmp_path / name).write_bytes(content)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    assert make_certificate([]).key != made.key


@pytest.mark.parametrize("transport", ALL_TRANSPORTS)
def test_a_serving_is_named_for_readers(transport: Transport) -> None:
    assert msgspec.convert({"transport": transport, "protocol": "h2"}, Serving).title.startswith(
        "HTTP/2 over "
    )
