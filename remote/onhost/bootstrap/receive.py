"""Takes a program's modules from standard input, imports them from memory and runs it: nothing is written.

remote/bootstrap.py sends this file first, then ``<length>\\n<zlib of JSON>`` with {path: source}, then what
the program itself reads. The words of the command line are the program's module and its arguments. Standard
library only; Python 3.11 or newer.
"""

import json
import sys
import zlib
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType


class ReceivedModules:
    """Finds and loads the modules; the traceback module can show their lines."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources

    def _path(self, name: str) -> str:
        path = name.replace(".", "/")
        package = f"{path}/__init__.py"
        return package if package in self._sources else f"{path}.py"

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        origin = self._path(name)
        if origin not in self._sources:
            return None
        # typeshed asks for more than importlib does.
        loader: object = self
        return ModuleSpec(name, loader, origin=origin, is_package=origin.endswith("/__init__.py"))  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        path = self._path(module.__name__)
        exec(compile(self._sources[path], path, "exec"), module.__dict__)

    def get_source(self, name: str) -> str:
        return self._sources[self._path(name)]


def receive() -> dict[str, str]:
    """Not a byte more than the modules: the rest is the program's."""
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        length = int(b"".join(iter(lambda: stdin.read(1), b"\n")))
        received = b""
        while len(received) < length:
            received += stdin.read(length - len(received)) or b""
    sources: dict[str, str] = json.loads(zlib.decompress(received))
    return sources


sys.meta_path.insert(0, ReceivedModules(receive()))
sys.exit(import_module(sys.argv[1]).main(sys.argv[2:]))
