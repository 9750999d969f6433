"""Temporary chats: of what is said nothing is stored but the stream, for an hour."""

from typing import Literal

from django.http import HttpRequest
from ninja import Field, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth, check_any_model
from apps.api.native.bodies import MODEL, NO_SAMPLING, Body, SamplingIn, text_field
from apps.api.native.running import creating, key_of, owner_of
from apps.api.site import SENDS
from apps.chat import services

router = Router(auth=KeyAuth(Scope.CONVERSATIONS), tags=["Temporary chats"])


class Said(Body):
    role: Literal["user", "assistant"]
    content: str = text_field()


class TemporaryIn(Body):
    model: str = Field("", max_length=80, description=MODEL)
    messages: list[Said] = Field(min_length=1, max_length=2000, description="All so far; the last one is the question.")
    system_prompt: str = text_field(default="")
    parameters: SamplingIn = NO_SAMPLING

    def prompt(self) -> list[dict[str, str]]:
        """Raises ValueError."""
        if self.messages[-1].role != "user":
            raise ValueError("messages: the last one must be of the user")
        head = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        return [*head, *(message.model_dump() for message in self.messages)]


class TemporaryOut(Schema):
    request_id: str = Field(description="Follow it on /api/v1/requests.")


@router.post("/temporary-chats", response={201: TemporaryOut}, openapi_extra=SENDS, summary="Ask without keeping")
@creating
def create_temporary_chat(request: HttpRequest, payload: TemporaryIn) -> TemporaryOut:
    check_any_model(key_of(request), payload.model)
    request_id = services.send_temporary(
        owner=owner_of(request),
        deployment=payload.model,
        messages=payload.prompt(),
        parameters=payload.parameters.stored(),
    )
    return TemporaryOut(request_id=request_id)
