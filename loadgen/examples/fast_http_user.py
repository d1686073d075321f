"""For `./invoke bench --locustfile loadgen/examples/fast_http_user.py`: FastHttpUser."""

from __future__ import annotations

from locust import FastHttpUser, task


class Reader(FastHttpUser):  # type: ignore[misc]  # Locust has no types
    """Asks again as soon as it is answered. ``host`` is set to the measured server."""

    @task  # type: ignore[untyped-decorator]
    def shortbody(self) -> None:
        self.client.get("/api/shortbody")
