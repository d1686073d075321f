"""When the locked versions were released, as the lock has it from the package index."""

from __future__ import annotations

from datetime import date

from packaging.pylock import Pylock


def release_days(lock: Pylock) -> dict[str, str]:
    """{normalised name: the day (ISO) on which the index had the first file of the locked version}.

    A package of whose files the lock has no upload times is left out.
    """
    found = {}
    for package in lock.packages:
        times = [one.upload_time for one in package.wheels or () if one.upload_time is not None]
        if package.sdist is not None and package.sdist.upload_time is not None:
            times.append(package.sdist.upload_time)
        if times:
            found[str(package.name)] = min(times).date().isoformat()
    return found


def age_days(released: str, at: str) -> int | None:
    """From the day of a release to ``at``, each an ISO date or time; None where the release's isn't known."""
    if not released:
        return None
    return (date.fromisoformat(at[:10]) - date.fromisoformat(released)).days
