"""Conversations as trees of messages, presets, and comparisons of two answers."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from apps.serving.models import Deployment


class AnswerStatus(models.TextChoices):
    WAITING = "waiting", _("waiting")
    DONE = "done", _("finished")
    STOPPED = "stopped", _("stopped")
    FAILED = "failed", _("failed")


class Answer(models.Model):
    """What a model wrote or is writing; the text is stored once the stream has ended."""

    text = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=AnswerStatus.choices, default=AnswerStatus.DONE)
    request_id = models.CharField(max_length=40, blank=True, db_index=True)
    model_name = models.CharField(max_length=120, blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    usage = models.JSONField(default=dict, blank=True)  # Outcome
    error = models.JSONField(default=dict, blank=True)  # {type, message, ...}
    logprobs = models.JSONField(default=list, blank=True)

    class Meta:
        abstract = True

    @property
    def is_waiting(self) -> bool:
        return self.status == AnswerStatus.WAITING

    @property
    def tokens_per_second(self) -> float | None:
        usage: dict[str, Any] = self.usage
        if usage.get("duration", 0) <= 0 or usage.get("completion_tokens", 0) < 2:
            return None
        return (usage["completion_tokens"] - 1) / usage["duration"]


class Conversation(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations")
    title = models.CharField(_("title"), max_length=120, blank=True)
    system_prompt = models.TextField(blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    deployment = models.ForeignKey(Deployment, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    leaf = models.ForeignKey("Message", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    pinned = models.BooleanField(default=False)
    archived = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["owner", "archived", "-pinned", "-updated_at", "-id"], name="chat_conversation_list")
        ]

    def __str__(self) -> str:
        return self.title or str(_("New chat"))


class Message(Answer):
    class Role(models.TextChoices):
        USER = "user", _("you")
        ASSISTANT = "assistant", _("model")

    class Rating(models.IntegerChoices):
        POOR = -1, _("poor answer")
        NONE = 0, _("not rated")
        GOOD = 1, _("good answer")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    role = models.CharField(max_length=10, choices=Role.choices)
    rating = models.SmallIntegerField(choices=Rating.choices, default=Rating.NONE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            GinIndex(SearchVector("text", config="simple"), name="chat_message_words"),
            GinIndex(OpClass(Upper("text"), name="gin_trgm_ops"), name="chat_message_trigrams"),
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.text[:40]}"


class Preset(models.Model):
    """A saved prompt: instructions and sampling parameters under a name."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="presets")
    name = models.CharField(_("name"), max_length=60)
    system_prompt = models.TextField(blank=True)
    parameters = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="chat_preset_name")]

    def __str__(self) -> str:
        return self.name


class Comparison(models.Model):
    """One question, answered twice side by side."""

    class Vote(models.TextChoices):
        NONE = "", _("no vote")
        A = "A", _("A is better")
        B = "B", _("B is better")
        EQUAL = "T", _("equal")
        NEITHER = "N", _("neither")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="comparisons")
    prompt = models.TextField()
    system_prompt = models.TextField(blank=True)
    blind = models.BooleanField(default=False)
    vote = models.CharField(max_length=1, blank=True, choices=Vote.choices, default=Vote.NONE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["owner", "-created_at"], name="chat_comparison_list")]

    def __str__(self) -> str:
        return self.prompt[:60]

    @property
    def is_hidden(self) -> bool:
        """Which model wrote which answer is told after the vote."""
        return self.blind and not self.vote


class Lane(Answer):
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="lanes")
    letter = models.CharField(max_length=1)

    class Meta:
        ordering = ["letter"]
        constraints = [models.UniqueConstraint(fields=["comparison", "letter"], name="chat_lane_letter")]

    def __str__(self) -> str:
        return f"{self.comparison_id} {self.letter}"
