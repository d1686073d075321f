"""The options of the commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from invoke.parser import Parser

import tasks
from bench.plan.request import BenchRequest, command_again, other_than_planned
from session.commands.command import all_commands
from session.commands.reading import options_of, read_words
from session.commands.shown import shown
from tests.helpers.environments import ROOT

# Invoke gives the help texts away once.
CONTEXTS = tasks.namespace.to_contexts()


def test_the_command_of_a_plan_has_every_option_that_is_not_at_its_default() -> None:
    given = {
        "hosts": "lab", "servers": "uvicorn,daphne", "endpoints": "orders", "profile": "review",
        "port": "9000", "rate": "500,70%", "arrivals": "poisson", "catalogue": "/own/my servers.toml",
        "results": "/elsewhere", "locustfile": "/own/locustfile.py", "set": "both",
        "tls": "on", "protocols": "h2,http/1.1", "clients": "h2load", "workers": "1,2",
        "balancer": "none,haproxy",
    }  # fmt: skip
    fields = {"rate": "rates", "set": "version_set", "balancer": "balancers"}
    request = BenchRequest(
        root=ROOT,
        given=frozenset({fields.get(name, name) for name in given} | {"name", "resume"}),
        hosts=given["hosts"],
        servers=("uvicorn", "daphne"),
        endpoints=("orders",),
        profile=given["profile"],
        name="taken",
        seed=None,
        port=9000,
        rates=("500", "70%"),
        arrivals=given["arrivals"],
        resume=True,
        catalogue=Path(given["catalogue"]),
        results=Path(given["results"]),
        locustfile=Path(given["locustfile"]),
        version_set=given["set"],
        tls=given["tls"],
        protocols=("h2", "http/1.1"),
        clients=("h2load",),
        workers=("1", "2"),
        balancers=("none", "haproxy"),
    )
    asked = read(*words(given), "--name", "taken", "--resume")
    assert {name: getattr(asked, name) for name in request.__struct_fields__} == msgspec.structs.asdict(
        request
    )
    again = command_again(request, 7)[2:]
    assert parsed(*again) == {**{fields.get(name, name): text for name, text in given.items()}, "seed": "7"}
    repeated = read(*again)
    for name in request.__struct_fields__:
        if name not in ("given", "name", "resume", "seed"):
            assert getattr(repeated, name) == getattr(request, name)
    # A field that is new shows up here until the command has it.
    left = [name for name in request.__struct_fields__ if getattr(request, name) == default_of(name)]
    assert left == ["seed"]


def default_of(name: str) -> object:
    return {field.name: field.default for field in msgspec.structs.fields(BenchRequest)}[name]


@pytest.mark.parametrize(
    ("words", "other"),
    [
        ("", None),
        ("--seed 7 --servers uvicorn,daphne --profile quick --rate 500 --name again --port 9000", None),
        ("--seed 8", ("seed", "7")),
        ("--servers uvicorn", ("servers", "uvicorn,daphne")),
        ("--profile review", ("profile", "quick")),
        ("--rate 500,70%", ("rate", "500")),
        ("--endpoints orders", ("endpoints", "")),
        ("--set current", ("set", "")),
        ("--arrivals poisson", ("arrivals", "")),
        ("--clients h2load", ("clients", "")),
        ("--catalogue mine.toml", ("catalogue", "")),
    ],
)
def test_what_a_plan_settled_can_be_asked_for_only_as_it_was(
    words: str, other: tuple[str, str] | None
) -> None:
    planned = ["./invoke", "bench", "--hosts", "lab", "--profile", "quick", "--seed", "7"]
    planned += ["--servers", "uvicorn,daphne", "--rate", "500"]
    request = read(*words.split(), "--resume")
    assert isinstance(request, BenchRequest)
    found = other_than_planned(request, planned)
    assert (None if found is None else (found[0].name, found[1])) == other


def test_the_command_of_a_plan_at_its_defaults_is_short() -> None:
    again = command_again(BenchRequest(root=ROOT), 7)
    assert again == ("./invoke", "bench", "--hosts", "local", "--profile", "quick", "--seed", "7")


def words(given: Mapping[str, str]) -> list[str]:
    return [word for name, value in given.items() for word in (f"--{name}", value)]


def parsed(*options: str) -> dict[str, Any]:
    """The options of `./invoke bench` as plain Invoke reads them, by their names; those that are given."""
    found = Parser(contexts=CONTEXTS).parse_argv(["bench", *options])
    return {name: value for name, value in found[0].as_kwargs.items() if value not in (None, False)}


def read(*options: str) -> msgspec.Struct:
    """The request that `./invoke bench` makes."""
    bench = next(one for one in all_commands(tasks.GROUPS) if one.name == "bench")
    return options_of(bench, read_words(bench, options), ROOT)


def test_every_option_of_bench_has_its_help_and_reaches_the_request() -> None:
    bench = next(one for one in CONTEXTS if one.name == "bench")
    options = {one.attr_name or one.name: one.help for one in bench.args.values()}
    assert all(options.values())
    fields = {field.name for field in msgspec.structs.fields(BenchRequest)}
    assert set(options) - {"dry_run", "debug", "quiet", "json", "open"} == fields - {"root", "given"}


def test_paths_are_shown_from_where_the_user_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "results" / "report.html") == "results/report.html"
    assert shown(Path("/elsewhere/report.html")) == "/elsewhere/report.html"
