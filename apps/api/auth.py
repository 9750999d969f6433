"""Bearer keys."""

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja.security import HttpBearer

from apps.accounts.models import APIKey
from apps.accounts.services import authenticate_key, known_key


class KeyAuth(HttpBearer):
    async def authenticate(self, request: HttpRequest, token: str) -> APIKey | None:  # type: ignore[override]
        if key := known_key(token):
            return key
        return await sync_to_async(authenticate_key)(token)
