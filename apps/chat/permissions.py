"""Who may see which chat object: its owner. Everybody else gets 404."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.shortcuts import get_object_or_404

from apps.accounts.models import User
from apps.chat.models import Comparison, Conversation, Message, Preset

Person = User | AnonymousUser


def owned_conversation(user: Person, conversation_id: UUID) -> Conversation:
    return get_object_or_404(Conversation.objects.select_related("deployment"), pk=conversation_id, owner_id=user.pk)


def owned_message(user: Person, message_id: UUID) -> Message:
    messages = Message.objects.select_related("conversation__deployment", "parent")
    return get_object_or_404(messages, pk=message_id, conversation__owner_id=user.pk)


def owned_comparison(user: Person, comparison_id: UUID) -> Comparison:
    return get_object_or_404(Comparison.objects.prefetch_related("lanes"), pk=comparison_id, owner_id=user.pk)


def owned_preset(user: Person, preset_id: int) -> Preset:
    return get_object_or_404(Preset, pk=preset_id, owner_id=user.pk)
