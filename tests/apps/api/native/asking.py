"""Somebody with a key, who asks and reads JSON."""

from dataclasses import dataclass
from typing import Any

from django.test import Client

from apps.accounts.models import User
from tests.apps.api.asking import bearer


@dataclass(frozen=True, slots=True)
class Caller:
    headers: dict[str, str]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of the answer; None where there is no body."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        data = {"data": body, "content_type": "application/json"} if body is not None else {}
        answer = getattr(Client(), method)(f"/api/v1{path}", **data, headers=self.headers | more)
        return answer.status_code, answer.json() if answer.content else None

    def made(self, path: str, body: Any, **headers: str) -> Any:
        status, answer = self.ask("post", path, body, **headers)
        assert status == 201, answer
        return answer


def caller(owner: User, **values: Any) -> Caller:
    return Caller(bearer(owner, **values))


def boss() -> Caller:
    """An administrator with a key for everything."""
    return caller(User.objects.create_superuser("boss@example.com"))
