"""Rules that hold the house: how large a room is, where messages and reasons are made, how it speaks.

Who imports whom is in test_layers.py.
"""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("bench", "inventory", "testapp", "remote", "loadgen", "reports", "session", "tasks")
# What runs on hosts.
ON_HOSTS = ("bench/wire", "remote/onhost", "loadgen/onhost", "testapp")
# These are fed to a Python of any age, alone, before anything of ours is on the host or after it has gone.
SINGLE_SCRIPTS = "remote/onhost/bootstrap"
MODULE_LINES = 500
FUNCTION_LINES = 70
SIZE_REASON = re.compile(r"longer than a (module|function) may be")
"""Words in a module's docstring, which then says why."""
SOURCE_READERS = {"remote/bootstrap.py", "remote/provision/ship.py"}
DATA_READERS = {
    "tasks.py": "the root of the checkout",
    "bench/catalogue/read.py": "the catalogue's TOML",
    "testapp/database.py": "the schema",
    "inventory/lab/host.py": "the lab's own first process, which is no part of a benchmark",
}


def sources() -> Iterator[Path]:
    for room in ROOMS:
        place = ROOT / room
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [ROOT / f"{room}.py"]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_modules(path: Path) -> set[str]:
    """Full dotted names, of imports inside functions too."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_below(path: Path, folder: str) -> bool:
    return path.is_relative_to(ROOT / folder)


def test_the_controller_takes_no_more_of_what_travels_than_the_messages_and_the_workloads() -> None:
    """It starts those programs; it doesn't run their code."""
    for path in sources():
        if any(is_below(path, folder) for folder in ON_HOSTS):
            continue
        guilty = {one for one in imported_modules(path) if ".onhost." in f"{one}."}
        assert not guilty, (name_of(path), guilty)


def test_our_own_source_is_read_in_two_modules() -> None:
    """There are two ways onto a host: a script on stdin, and the shipped tree."""
    for path in sources():
        names = {node.id for node in ast.walk(parsed(path)) if isinstance(node, ast.Name)}
        if name_of(path) not in SOURCE_READERS | set(DATA_READERS):
            assert "__file__" not in names, name_of(path)


def lines_of(node: ast.AST) -> int:
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    return (node.end_lineno or 0) - node.lineno + 1


def test_no_room_is_crowded() -> None:
    """A module that is longer says why at its top; so does one with a longer function."""
    crowded = []
    for path in sources():
        text = path.read_text()
        if SIZE_REASON.search(ast.get_docstring(parsed(path)) or ""):
            continue
        if text.count("\n") > MODULE_LINES:
            crowded.append(f"{name_of(path)}: {text.count(chr(10))} lines")
        crowded += [
            f"{name_of(path)}: {node.name} has {lines_of(node)} lines"
            for node in ast.walk(parsed(path))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and lines_of(node) > FUNCTION_LINES
        ]
    assert not crowded, "\n".join(crowded)


def test_one_name_means_one_class() -> None:
    places = defaultdict(list)
    for path in sources():
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name_of(path))
    # Locust distributes users by the name of their class: master and worker must have the same. Readers are
    # the examples'.
    del places["SimulatedConnection"], places["Reader"]
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert not twice, twice


def parameters(path: Path) -> Iterator[tuple[str, str]]:
    """(function, annotation) of every parameter."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = node.args
            for one in (*given.posonlyargs, *given.args, *given.kwonlyargs):
                if one.annotation is not None:
                    yield node.name, ast.unparse(one.annotation)


def test_reasons_are_returned_and_never_handed_down_to_be_filled() -> None:
    for path in sources():
        for function, annotation in parameters(path):
            assert annotation != "list[Reason]", (name_of(path), function)


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            yield node


def test_reasons_are_made_by_the_judge_alone() -> None:
    for path in sources():
        if is_below(path, "bench/judge"):
            continue
        made = [node.lineno for node in calls(path) if ast.unparse(node.func) == "Reason"]
        assert not made, (name_of(path), made)


# Readers of JSON that is no message of ours between two processes.
OTHER_JSON = {
    "bench/catalogue/schema.py": "the JSON Schema itself",
    "inventory/listing.py": "ansible-inventory's answer",
    "inventory/templates.py": "ansible's answer",
    "inventory/lab/boot.py": "the lab's own record",
    "inventory/lab/host.py": "the lab's own record",
    "inventory/lab/network.py": "the answer of `ip -json`",
    "remote/onhost/answers.py": "the answer of the app over HTTP, of which the process's own words are kept",
    "remote/onhost/environments.py": "what another Python prints, and the environment's own record",
    "remote/onhost/guard/record.py": "the guard's own record",
    "testapp/postgres/cluster.py": "the database folder's own record",
}


def test_no_message_crosses_a_process_without_its_type() -> None:
    """JSON is decoded into a type of bench/wire, or of bench; only the codec reads it into plain values."""
    guilty = []
    for path in sources():
        name = name_of(path)
        if name == "bench/wire/codec.py" or name in OTHER_JSON or is_below(path, SINGLE_SCRIPTS):
            continue
        if is_below(path, "bench/wire") and "dict[str, Any]" in path.read_text():
            guilty.append(f"{name}: dict[str, Any]")
        for node in calls(path):
            called = ast.unparse(node.func)
            if called in ("json.loads", "json.load"):
                guilty.append(f"{name}:{node.lineno}: {called}")
            if called == "msgspec.json.decode" and not any(word.arg == "type" for word in node.keywords):
                guilty.append(f"{name}:{node.lineno}: {called} without a type")
    assert not guilty, "\n".join(guilty)


def test_remedies_are_sentences() -> None:
    """They follow a full stop, and name commands as a reader types them."""
    guilty = []
    for path in sources():
        for node in calls(path):
            for word in node.keywords:
                if word.arg != "remedy":
                    continue
                guilty += [
                    f"{name_of(path)}:{node.lineno}: {text[:50]}"
                    for text in first_words(word.value)
                    if text and text[0].isalpha() and text[0].islower()
                ]
    assert not guilty, "\n".join(guilty)


def first_words(value: ast.expr) -> Iterator[str]:
    """The beginning of each text that an expression may be."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.JoinedStr) and value.values:
        yield from first_words(value.values[0])
    elif isinstance(value, ast.IfExp):
        yield from first_words(value.body)
        yield from first_words(value.orelse)
    elif isinstance(value, ast.BinOp):
        yield from first_words(value.left)
    elif isinstance(value, ast.BoolOp):
        for one in value.values:
            yield from first_words(one)


def test_commands_are_named_as_they_are_typed() -> None:
    commands = ("bench", "report", "compare", "calibrate", "hosts.", "lab.", "test", "lint")
    guilty = []
    for path in sources():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value.replace("./invoke", "")
                guilty += [f"{name_of(path)}:{node.lineno}" for one in commands if f"invoke {one}" in text]
    assert not guilty, "\n".join(guilty)


def test_a_test_module_imports_no_other_test_module() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        guilty = {one for one in imported_modules(path) if one.rpartition(".")[2].startswith("test_")}
        assert not guilty, (name_of(path), guilty)
