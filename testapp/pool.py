"""The app's connections to PostgreSQL. Shipped; needs asyncpg."""

from __future__ import annotations

import asyncio
import sys

import asyncpg

_CLOSE_SECONDS = 5


class Database:
    """One pool of ``pool_size`` connections, opened when it is first asked for."""

    def __init__(self, url: str, pool_size: int) -> None:
        self.url = url
        self.pool_size = pool_size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        return self._pool is not None

    @property
    def is_usable(self) -> bool:
        """Whether this process's event loop is asyncio's: asyncpg needs it."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        return True

    async def pool(self) -> asyncpg.Pool[asyncpg.Record]:
        """The pool. Raises what asyncpg raises where it can't be opened; the next call tries again."""
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await self._open()
        return self._pool

    async def close(self) -> None:
        """Give the connections back, those in use too if they take longer than 5 s."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), _CLOSE_SECONDS)
            except TimeoutError:
                pool.terminate()

    async def _open(self) -> asyncpg.Pool[asyncpg.Record]:
        # asyncpg would replace a connection after 50,000 queries or 5 idle minutes: amid a window.
        return await asyncpg.create_pool(
            self.url,
            min_size=self.pool_size,
            max_size=self.pool_size,
            max_queries=sys.maxsize,
            max_inactive_connection_lifetime=0,
        )
