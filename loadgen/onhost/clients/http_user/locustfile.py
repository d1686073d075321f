"""Locust's HttpUser as a client of the plan: it asks for what the plan says, and no more."""

from __future__ import annotations

from locust import HttpUser, task

from loadgen.onhost.worker.users import measure_users


class HttpClient(HttpUser):  # type: ignore[misc]  # Locust has no types
    """Asks again as soon as it is answered, as a locustfile by the book does."""

    @task  # type: ignore[untyped-decorator]
    def ask(self) -> None:
        method, path, headers, body = next(self.environment.asgibench_requests)
        self.client.request(method, path, data=body, headers=headers)


measure_users()
