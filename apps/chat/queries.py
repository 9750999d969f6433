"""What the chat pages show."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Upper

from apps.accounts.models import User
from apps.chat.models import AnswerStatus, Comparison, Conversation, Message, Preset
from apps.chat.tree import ThreadItem, tree_of

_SNIPPET = 90  # characters around what was found


@dataclass(frozen=True, slots=True)
class ConversationPage:
    items: Sequence[Conversation]  # each with .is_writing and .snippet
    next_cursor: str


def conversation_page(
    *, owner: User, archived: bool = False, search: str = "", cursor: str = "", limit: int = 50
) -> ConversationPage:
    """Conversations, pinned first, then the newest; one query. A cursor that makes no sense starts anew."""
    search = search.replace("\x00", "").strip()[:200]  # PostgreSQL takes no NUL
    rows = Conversation.objects.filter(owner=owner)
    rows = _matching(rows, search) if search else rows.filter(archived=archived)
    if place := _parse_cursor(cursor):
        rows = rows.filter(_behind(*place))
    writing = Message.objects.filter(conversation=OuterRef("pk"), status=AnswerStatus.WAITING)
    rows = rows.annotate(is_writing=Exists(writing)).order_by("-pinned", "-updated_at", "-id")
    items: list[Conversation] = list(rows[: limit + 1])
    for item in items:
        item.snippet = _snippet(getattr(item, "found", None) or "", search)  # type: ignore[attr-defined]
    more = len(items) > limit
    return ConversationPage(items[:limit], _cursor(items[limit - 1]) if more else "")


def is_cursor(text: str) -> bool:
    return _parse_cursor(text) is not None


def thread(conversation: Conversation) -> list[ThreadItem]:
    """From the first message to the current leaf; one query."""
    return tree_of(conversation.pk).thread(conversation.leaf_id)


def presets(owner: User) -> QuerySet[Preset]:
    return Preset.objects.filter(owner=owner)


def comparisons(owner: User) -> QuerySet[Comparison]:
    """With their lanes, the newest first."""
    return Comparison.objects.filter(owner=owner).prefetch_related("lanes")


def recent_comparisons(owner: User, limit: int = 20) -> QuerySet[Comparison]:
    return comparisons(owner)[:limit]


def vote_counts(owner: User) -> dict[str, int]:
    """Votes cast: A, B, T (equal), N (neither)."""
    votes = Comparison.objects.filter(owner=owner).exclude(vote="").values_list("vote", flat=True)
    return {"A": 0, "B": 0, "T": 0, "N": 0, **Counter(votes)}


def export_markdown(conversation: Conversation) -> str:
    """The current path as a document."""
    parts = [f"# {conversation}", ""]
    if conversation.system_prompt:
        parts += ["> " + conversation.system_prompt.replace("\n", "\n> "), ""]
    for item in thread(conversation):
        message = item.message
        who = message.model_name or "Model" if message.role == Message.Role.ASSISTANT else "You"
        parts += [f"## {who}", "", message.text, ""]
    return "\n".join(parts)


def export_json(conversation: Conversation) -> dict[str, Any]:
    """The whole tree."""
    messages = Message.objects.filter(conversation=conversation)
    return {
        "id": str(conversation.pk),
        "title": str(conversation),
        "created_at": conversation.created_at.isoformat(),
        "system_prompt": conversation.system_prompt,
        "parameters": conversation.parameters,
        "leaf": str(conversation.leaf_id) if conversation.leaf_id else None,
        "messages": [exported(message) for message in messages],
    }


def exported(message: Message) -> dict[str, Any]:
    """A message as JSON says it."""
    return {
        "id": str(message.pk),
        "parent": str(message.parent_id) if message.parent_id else None,
        "role": message.role,
        "text": message.text,
        "model": message.model_name,
        "status": message.status,
        "parameters": message.parameters,
        "usage": message.usage,
        "rating": message.rating,
        "created_at": message.created_at.isoformat(),
    }


def _matching(rows: QuerySet[Conversation], search: str) -> QuerySet[Conversation]:
    """Titles and messages with these words, or, as Chinese has no spaces, with this very text."""
    messages = Message.objects.annotate(words=SearchVector("text", config="simple"), upper=Upper("text"))
    hits = messages.filter(
        Q(words=SearchQuery(search, config="simple", search_type="websearch")) | Q(upper__contains=search.upper()),
        conversation=OuterRef("pk"),
    )
    found = Subquery(hits.order_by("-created_at").values("text")[:1])
    return rows.annotate(found=found).filter(Q(title__icontains=search) | Q(found__isnull=False))


def _snippet(text: str, search: str) -> str:
    """The part of the text around the first word that was looked for."""
    if not text:
        return ""
    words = [search, *search.split()]
    place = next((at for word in words if (at := text.lower().find(word.lower())) >= 0), 0)
    start = max(0, place - _SNIPPET // 3)
    part = re.sub(r"\s+", " ", text[start : start + _SNIPPET]).strip()
    return ("…" if start else "") + part + ("…" if start + _SNIPPET < len(text) else "")


def _cursor(item: Conversation) -> str:
    """Of characters that an address takes as they are."""
    moment = item.updated_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f"{int(item.pinned)}_{moment}_{item.pk}"


def _parse_cursor(cursor: str) -> tuple[bool, datetime, UUID] | None:
    try:
        pinned, updated_at, pk = cursor.split("_")
        moment = datetime.fromisoformat(updated_at)
        return (pinned == "1", moment, UUID(pk)) if moment.tzinfo else None
    except ValueError:
        return None


def _behind(pinned: bool, updated_at: datetime, pk: UUID) -> Q:
    older = Q(pinned=pinned) & (Q(updated_at__lt=updated_at) | Q(updated_at=updated_at, pk__lt=pk))
    return older | Q(pinned=False) if pinned else older
