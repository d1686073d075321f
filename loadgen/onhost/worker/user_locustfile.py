"""The locustfile of a load worker that runs a user's own: ASGIBENCH_LOCUSTFILE is its path."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from pathlib import Path
from typing import Any

from locust import User

from loadgen.onhost.worker.users import measure_users

_MODULE = "users_locustfile"


def _load_users(path: Path) -> dict[str, Any]:
    """The User classes of the file by name. Raises whatever the file raises, ImportError if it has none."""
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    spec.loader.exec_module(module)
    classes: list[Any] = [one for one in vars(module).values() if inspect.isclass(one)]
    users = {one.__name__: one for one in classes if issubclass(one, User) and not one.abstract}
    if not users:
        raise ImportError(f"{path.name} has no User class that isn't abstract")
    return users


measure_users()
# Locust takes the User classes that it finds in this module.
globals().update(_load_users(Path(os.environ["ASGIBENCH_LOCUSTFILE"])))
