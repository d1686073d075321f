"""From what the user typed after --hosts to an inventory file."""

from __future__ import annotations

import difflib
from pathlib import Path

from bench.errors import InventoryError

ENDINGS = (".yml", ".yaml", ".ini", "")


def find_inventory(hosts: str, *, root: Path) -> Path:
    """The absolute path of the inventory: ``hosts`` names one in ``root``/inventory, or is a path itself.

    Raises InventoryError when there is none, or when the name fits several files.
    """
    if not hosts.strip():
        raise InventoryError("no inventory is named", remedy=_existing(root))
    found = _by_name(hosts, root) if "/" not in hosts else ()
    if len(found) > 1:
        raise InventoryError(
            f"the name '{hosts}' fits several inventories: {', '.join(map(str, found))}",
            remedy="Give the path of the one you mean",
        )
    path = found[0] if found else Path(hosts).expanduser().absolute()
    if path.is_dir():
        raise InventoryError(f"{path} is a folder", remedy="Name one inventory file in it")
    if not path.exists():
        where = (
            f"no inventory '{hosts}' in {root / 'inventory'}" if "/" not in hosts else f"{path}: no such file"
        )
        raise InventoryError(where, remedy=_existing(root, hosts))
    if "," in str(path):
        raise InventoryError(
            f"{path} has a comma in it, which Ansible takes for a list of hosts",
            remedy="Rename the file or folder",
        )
    return path


def inventory_names(root: Path) -> tuple[str, ...]:
    """The names that --hosts takes; examples (name.example.yml) left out."""
    folder = root / "inventory"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    names = {
        file.stem
        for file in files
        if file.suffix in ENDINGS[:-1] and file.is_file() and not file.stem.endswith(".example")
    }
    return tuple(sorted(names))


def _by_name(name: str, root: Path) -> tuple[Path, ...]:
    candidates = [(root / "inventory" / f"{name}{ending}").absolute() for ending in ENDINGS]
    return tuple(candidate for candidate in candidates if candidate.is_file())


def _existing(root: Path, wanted: str = "") -> str:
    names = inventory_names(root)
    if not names:
        return f"Write one into {root / 'inventory'}, after cloud.example.yml"
    close = difflib.get_close_matches(Path(wanted).stem, names, n=1)
    meant = f"Did you mean '{close[0]}'? " if close else ""
    return f"{meant}There are: {', '.join(names)}; a path is taken too"
