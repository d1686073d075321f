"""Locust's HttpUser as a client of the plan: it asks for what user_locustfile.py says, and no more.

Shipped; Locust only.
"""

from __future__ import annotations

from locust import HttpUser, task


class HttpClient(HttpUser):  # type: ignore[misc]  # Locust has no types
    """Asks again as soon as it is answered, as a locustfile by the book does."""

    @task  # type: ignore[untyped-decorator]
    def ask(self) -> None:
        path, headers = next(self.environment.asgibench_requests)
        self.client.get(path, headers=headers)
