"""The test app's data: the same on every host for the same seed. Shipped; standard library only.

1,000 users with 15 to 25 orders each. Everything is cut from SHAKE-256 streams, one for each user, and not
from ``random``, whose choices are allowed to change between versions of Python: controller and hosts need
not have the same one. A user is known by index (0 to 999, the rotation order of tokens) here and by id
(index + 1) in the database.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypedDict

USER_COUNT = 1_000

_FEWEST_ORDERS = 15
_MOST_ORDERS = 25
_ORDER_IDS_PER_USER = 100
_TOKEN_BYTES = 20
_USER_BYTES = _TOKEN_BYTES + 3
_ORDER_BYTES = 10
_NEWEST_ORDER = datetime(2026, 1, 1, tzinfo=UTC)
_SECONDS_OF_ORDERS = 365 * 24 * 3_600
_FIRST_NAMES = (
    "Ada",
    "Björn",
    "Chloé",
    "Dmitri",
    "Esperanza",
    "Fatima",
    "Grace",
    "Hiroshi",
    "Inês",
    "Jürgen",
)
_LAST_NAMES = (
    "Almeida",
    "Brown",
    "Çelik",
    "Dubois",
    "Eriksen",
    "Ferrari",
    "García",
    "Hopper",
    "Ivanova",
    "Sørensen",
)
_STATUSES = ("placed", "paid", "packed", "shipped", "delivered", "returned")
_ITEMS = (
    "Desk lamp",
    "Tea pot",
    "Notebook, squared",
    "Garden hose",
    "Umbrella",
    "Bicycle bell",
    "Wool scarf",
)


class User(TypedDict):
    """A row of ``asgibench.users``, and the token that only its hash stands there for."""

    id: int
    name: str
    email: str
    token: str
    token_sha256: bytes


class Order(TypedDict):
    """A row of ``asgibench.orders``. ``placed_at`` is in UTC and whole seconds."""

    id: int
    user_id: int
    placed_at: datetime
    status: str
    item: str
    quantity: int
    total_cents: int


class Row(Protocol):
    """What is read by column name: a dictionary, a record of asyncpg."""

    def __getitem__(self, column: str, /) -> Any: ...


def user_of(seed: int, user_index: int) -> User:
    """The user at ``user_index``. Raises IndexError outside 0 to 999."""
    stream = _stream(seed, user_index, _USER_BYTES)
    first, last = _pick(_FIRST_NAMES, stream[-3]), _pick(_LAST_NAMES, stream[-2])
    token = stream[:_TOKEN_BYTES].hex()
    return User(
        id=user_index + 1,
        name=f"{first} {last}",
        email=f"user{user_index + 1}@shop.example",
        token=token,
        token_sha256=hashlib.sha256(token.encode()).digest(),
    )


def orders_of(seed: int, user_index: int) -> tuple[Order, ...]:
    """All orders of a user, the newest first. Raises IndexError outside 0 to 999."""
    stream = _stream(seed, user_index, _USER_BYTES + _MOST_ORDERS * _ORDER_BYTES)
    count = _FEWEST_ORDERS + stream[_USER_BYTES - 1] % (_MOST_ORDERS - _FEWEST_ORDERS + 1)
    pieces = (stream[_USER_BYTES + at * _ORDER_BYTES :][:_ORDER_BYTES] for at in range(count))
    orders = (_order(user_index, number, piece) for number, piece in enumerate(pieces))
    return tuple(sorted(orders, key=lambda order: (order["placed_at"], order["id"]), reverse=True))


def tokens(seed: int) -> tuple[str, ...]:
    """The bearer token of every user, by user index."""
    return tuple(user_of(seed, user_index)["token"] for user_index in range(USER_COUNT))


def _stream(seed: int, user_index: int, length_bytes: int) -> bytes:
    if not 0 <= user_index < USER_COUNT:
        raise IndexError(f"there is no user {user_index}: they are 0 to {USER_COUNT - 1}")
    return hashlib.shake_256(f"asgibench {seed} {user_index}".encode()).digest(length_bytes)


def _order(user_index: int, number: int, piece: bytes) -> Order:
    age_seconds = int.from_bytes(piece[:4], "big") % _SECONDS_OF_ORDERS
    return Order(
        id=(user_index + 1) * _ORDER_IDS_PER_USER + number,
        user_id=user_index + 1,
        placed_at=_NEWEST_ORDER - timedelta(seconds=age_seconds),
        status=_pick(_STATUSES, piece[4]),
        item=_pick(_ITEMS, piece[5]),
        quantity=1 + piece[6] % 9,
        total_cents=100 + int.from_bytes(piece[7:10], "big") % 100_000,
    )


def _pick(choices: tuple[str, ...], number: int) -> str:
    return choices[number % len(choices)]
