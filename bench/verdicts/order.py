"""The order of cells that were not all measured in the same blocks.

A figure is taken as its cell's share and its block's, multiplied: logarithms of cells and of blocks that add
up. Least squares over all figures give each cell's share free of what its blocks were like, so that a server
which was only measured in slow blocks isn't last for it. Where two neighbours have blocks in common, these
decide: no cell stands before one that was better in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

Figures = Mapping[int, float]
"""By block, the logarithm of a cell's figure; more is better."""


def order(cells: Sequence[Figures]) -> list[int]:
    """Indices of the cells, the best first. What no chain of common blocks connects stays as given."""
    placed: list[int] = []
    for group in _connected(cells):
        effects = _effects([cells[index] for index in group])
        path: list[int] = []
        # Rounded, so that equal cells stay as they are given.
        for place in sorted(range(len(group)), key=lambda place: -round(effects[place], 12)):
            _insert(path, group[place], cells)
        placed += path
    return placed


def _insert(path: list[int], new: int, cells: Sequence[Figures]) -> None:
    """At the last place where its neighbours' common blocks don't contradict: there is always one."""
    place = len(path)
    while place > 0 and not _may_precede(cells[path[place - 1]], cells[new]):
        place -= 1
    path.insert(place, new)


def _may_precede(one: Figures, other: Figures) -> bool:
    common = one.keys() & other.keys()
    return not common or fmean(one[block] - other[block] for block in common) >= 0


def _connected(cells: Sequence[Figures]) -> list[list[int]]:
    """Groups of indices: in a group, a chain of cells that share blocks leads from each to each."""
    groups: list[list[int]] = []
    left = list(range(len(cells)))
    while left:
        group = [left.pop(0)]
        for member in group:
            joined = [index for index in left if cells[index].keys() & cells[member].keys()]
            group += joined
            left = [index for index in left if index not in joined]
        groups.append(sorted(group))
    return groups


def _effects(cells: Sequence[Figures]) -> list[float]:
    """Each cell's part of the least-squares fit, the first cell's being 0. The cells must be connected."""
    count = len(cells)
    matrix = [[0.0] * count for _ in range(count)]
    right = [0.0] * count
    for block in sorted({block for cell in cells for block in cell}):
        present = [index for index in range(count) if block in cells[index]]
        middle = fmean(cells[index][block] for index in present)
        for index in present:
            right[index] += cells[index][block] - middle
            matrix[index][index] += 1
            for neighbour in present:
                matrix[index][neighbour] -= 1 / len(present)
    return [0.0, *_solved([row[1:] for row in matrix[1:]], right[1:])]


def _solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """The solution of a symmetric, positive definite system, by elimination."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    count = len(rows)
    for pivot in range(count):
        for below in rows[pivot + 1 :]:
            factor = below[pivot] / rows[pivot][pivot]
            for column in range(pivot, count + 1):
                below[column] -= factor * rows[pivot][column]
    found = [0.0] * count
    for pivot in reversed(range(count)):
        known = sum(rows[pivot][column] * found[column] for column in range(pivot + 1, count))
        found[pivot] = (rows[pivot][count] - known) / rows[pivot][pivot]
    return found
