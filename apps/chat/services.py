"""Verbs on conversations. Nothing is stored when a send is refused."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.chat.models import AnswerStatus, Conversation, Message, Preset
from apps.chat.tree import tree_of
from apps.quotas import services as quotas
from apps.serving import services as serving
from apps.serving.events import tell_user
from apps.serving.models import Deployment
from apps.serving.services import Target
from contracts.messages import InferenceRequest

_TITLE_LENGTH = 60


def start_conversation(
    *, owner: User, deployment: str = "", system_prompt: str = "", parameters: dict[str, Any] | None = None
) -> Conversation:
    """An empty conversation. Raises UnknownDeployment, ValueError(`field: reason`)."""
    serving.sampling_params(parameters or {})
    return Conversation.objects.create(
        owner=owner,
        deployment=deployment_named(deployment),
        system_prompt=check_text("system_prompt", system_prompt, may_be_empty=True),
        parameters=parameters or {},
        updated_at=timezone.now(),
    )


@transaction.atomic
def send_message(*, conversation: Conversation, text: str, parent: Message | None) -> tuple[Message, Message]:
    """The user's message below `parent` and the answer that is being written to it.

    With the parent of an existing message this is an edit: a branch beside it. Raises NoWorker,
    LimitReached, UnknownDeployment, ValueError(`field: reason`).
    """
    check_text("text", text)
    if parent is not None and (parent.conversation_id != conversation.pk or parent.role != Message.Role.ASSISTANT):
        raise ValueError("parent: is not an answer of this conversation")
    chosen = _choose(conversation)
    question = Message.objects.create(conversation=conversation, parent=parent, role=Message.Role.USER, text=text)
    if not conversation.title:
        conversation.title = title_from(text)
    return question, _answer(conversation, question, chosen)


@transaction.atomic
def regenerate(*, answer: Message) -> Message:
    """Another answer to the same question, beside this one. Raises as send_message does."""
    if answer.role != Message.Role.ASSISTANT or answer.parent is None:
        raise ValueError("message: is not an answer")
    return _answer(answer.conversation, answer.parent, _choose(answer.conversation))


def select_message(*, conversation: Conversation, message: Message) -> None:
    """Show the branch through this message, down to its newest leaf."""
    if message.conversation_id != conversation.pk:
        raise ValueError("message: is not of this conversation")
    conversation.leaf_id = tree_of(conversation.pk).newest_leaf(message.pk)
    conversation.save(update_fields=["leaf"])


def update_conversation(*, conversation: Conversation, **changes: Any) -> None:
    """Change title, pinned, archived, system_prompt, parameters or deployment (by name)."""
    if "deployment" in changes:
        changes["deployment"] = deployment_named(changes["deployment"])
    if "parameters" in changes:
        serving.sampling_params(changes["parameters"])
    if "title" in changes:
        changes["title"] = title_from(changes["title"]) or conversation.title
    if "system_prompt" in changes:
        check_text("system_prompt", changes["system_prompt"], may_be_empty=True)
    for name, value in changes.items():
        setattr(conversation, name, value)
    conversation.save(update_fields=list(changes))
    _tell(conversation, "changed")


def delete_conversation(*, conversation: Conversation) -> None:
    """Delete it with all its messages; what is still being written is stopped."""
    waiting = conversation.messages.filter(status=AnswerStatus.WAITING).values_list("request_id", flat=True)
    for request_id in waiting:
        serving.stop(request_id=request_id)
    _tell(conversation, "deleted")
    conversation.delete()


def rate(*, message: Message, rating: int) -> None:
    """Raises ValueError(`rating: reason`)."""
    if rating not in Message.Rating.values or message.role != Message.Role.ASSISTANT:
        raise ValueError("rating: must be -1, 0 or 1, of an answer")
    message.rating = rating
    message.save(update_fields=["rating"])


def save_preset(*, owner: User, name: str, system_prompt: str, parameters: dict[str, Any]) -> Preset:
    """Save under this name; a preset of that name is replaced."""
    name = name.strip()
    if not 0 < len(name) <= 60:
        raise ValueError("name: must have 1 to 60 characters")
    serving.sampling_params(parameters)
    check_text("system_prompt", system_prompt, may_be_empty=True)
    preset, _ = Preset.objects.update_or_create(
        owner=owner, name=name, defaults={"system_prompt": system_prompt, "parameters": parameters}
    )
    return preset


def delete_preset(*, preset: Preset) -> None:
    preset.delete()


def send_temporary(*, owner: User, deployment: str, messages: list[dict[str, str]], parameters: dict[str, Any]) -> str:
    """Answer a conversation that only the page knows. Nothing of it is stored but the stream, for an hour."""
    for message in messages:
        check_text("text", message["content"], may_be_empty=message["role"] != "user")
    chosen = serving.choose_deployment(deployment)
    request = request_for(owner, chosen, messages, parameters)
    quotas.submit(request=request, who=owner, target=chosen)
    return request.request_id


def deployment_named(name: str) -> Deployment | None:
    """The deployment, or None for "whichever is ready". Raises UnknownDeployment."""
    if not name:
        return None
    available = {deployment.name: deployment for deployment in Deployment.objects.all()}
    if name not in available:
        raise serving.UnknownDeployment(name, sorted(available))
    return available[name]


def check_text(field: str, text: str, *, may_be_empty: bool = False) -> str:
    """Raises ValueError(`field: reason`) for text that cannot be stored or is too long."""
    if not may_be_empty and not text.strip():
        raise ValueError(f"{field}: is empty")
    if len(text) > settings.MAX_MESSAGE_CHARS:
        raise ValueError(f"{field}: has {len(text):,} characters, at most {settings.MAX_MESSAGE_CHARS:,} are taken")
    if "\x00" in text:
        raise ValueError(f"{field}: contains a NUL character")
    return text


def title_from(text: str) -> str:
    """The first line, cut at a word."""
    line = next((line for line in text.splitlines() if line.strip()), "").strip().lstrip("#>*- ")
    if len(line) <= _TITLE_LENGTH:
        return line
    cut = line[:_TITLE_LENGTH]
    return (cut.rsplit(" ", 1)[0] if " " in cut[20:] else cut).rstrip(",.;:，。；：") + "…"


def request_for(
    owner: User,
    target: Target,
    messages: list[dict[str, str]],
    parameters: dict[str, Any],
    conversation: str = "",
) -> InferenceRequest:
    return serving.build_request(
        target=target,
        inputs={"messages": messages},
        parameters=parameters,
        tenant=str(owner.pk),
        conversation=conversation,
    )


def _choose(conversation: Conversation) -> Target:
    name = conversation.deployment.name if conversation.deployment else ""
    return serving.choose_deployment(name, sticky=str(conversation.pk))


def _answer(conversation: Conversation, question: Message, target: Target) -> Message:
    """Store the answer as waiting, make it the current leaf, and send the request on commit."""
    messages = _prompt(conversation, question)
    request = request_for(conversation.owner, target, messages, conversation.parameters, str(conversation.pk))
    answer = Message.objects.create(
        conversation=conversation,
        parent=question,
        role=Message.Role.ASSISTANT,
        status=AnswerStatus.WAITING,
        request_id=request.request_id,
        model_name=target.title,
        parameters=conversation.parameters,
    )
    conversation.leaf = answer
    conversation.updated_at = timezone.now()
    conversation.save(update_fields=["leaf", "title", "updated_at"])
    quotas.submit(request=request, who=conversation.owner, target=target)
    transaction.on_commit(lambda: _tell(conversation, "changed"))
    return answer


def _prompt(conversation: Conversation, question: Message) -> list[dict[str, str]]:
    path = tree_of(conversation.pk).path(question.pk)
    messages = [{"role": message.role, "content": message.text} for message in path if message.text]
    if conversation.system_prompt:
        messages.insert(0, {"role": "system", "content": conversation.system_prompt})
    return messages


def _tell(conversation: Conversation, action: str) -> None:
    tell_user(conversation.owner_id, type="conversation", conversation=str(conversation.pk), action=action)
