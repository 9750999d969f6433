"""The organisation, its teams, people and their API keys."""

import uuid
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class UserManager(BaseUserManager["User"]):
    """Users are known by e-mail address; there is no user name."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """The organisation's owner, or one more administrator where it has one."""
        return self.create_user(email, password, role=self.role_of_administrator(), **fields)

    def role_of_administrator(self) -> "Role":
        return Role.ADMIN if self.filter(role=Role.OWNER, is_active=True).exists() else Role.OWNER


class Role(models.TextChoices):
    """What somebody may do, in the organisation and in a team."""

    OWNER = "owner", _("owner")
    ADMIN = "admin", _("administrator")
    MEMBER = "member", _("member")
    VIEWER = "viewer", _("viewer")


ADMINISTRATORS = (Role.OWNER, Role.ADMIN)
# What an invitation may make somebody: the organisation is handed over, not given away by a link.
INVITED_ROLES = (Role.ADMIN, Role.MEMBER, Role.VIEWER)


class FailPolicy(models.TextChoices):
    """What happens to a request whose limits cannot be checked."""

    CLOSED = "closed", _("refuse")
    OPEN = "open", _("let it through")


class Organization(models.Model):
    """Whose installation this is: one row."""

    name = models.CharField(_("name"), max_length=80, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=60, default="UTC")
    currency = models.CharField(_("currency"), max_length=3, default="USD")
    fail_policy = models.CharField(
        _("when limits cannot be checked"), max_length=6, choices=FailPolicy, default=FailPolicy.CLOSED
    )
    is_signup_open = models.BooleanField(_("anybody may sign up"), default=True)
    requires_admin_mfa = models.BooleanField(_("administrators need a second factor"), default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_organization")]

    def __str__(self) -> str:
        return self.name or "DeepSeek Web"

    @classmethod
    def current(cls) -> "Organization":
        return cls.objects.get_or_create(pk=1)[0]


class Team(models.Model):
    name = models.CharField(_("name"), max_length=80, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    members: "models.ManyToManyField[User, Membership]" = models.ManyToManyField(
        "User", through="Membership", related_name="teams"
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    username = None  # type: ignore[assignment]
    email = models.EmailField(_("e-mail"), unique=True)
    name = models.CharField(_("name"), max_length=80, blank=True)

    role = models.CharField(_("role"), max_length=6, choices=Role, default=Role.MEMBER)
    # What is done on pages counts for this team; what is done with a key, for the key's.
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: list[str] = []
    objects = UserManager()  # type: ignore[misc]

    @property
    def is_administrator(self) -> bool:
        return self.role in ADMINISTRATORS

    # What Django's admin asks for. The role is the only truth.
    is_staff = is_administrator  # type: ignore[assignment]

    @property
    def is_superuser(self) -> bool:  # type: ignore[override]
        return self.role == Role.OWNER

    @property
    def is_last_owner(self) -> bool:
        """The one who cannot be demoted, deactivated or deleted."""
        others = User.objects.filter(role=Role.OWNER, is_active=True).exclude(pk=self.pk)
        return self.role == Role.OWNER and self.is_active and not others.exists()

    @property
    def may_send(self) -> bool:
        """Viewers look at what is there and cost nothing."""
        return self.role != Role.VIEWER

    @property
    def label(self) -> str:
        return self.name or self.email.partition("@")[0]

    @property
    def initials(self) -> str:
        return self.label[:2].upper()


class Membership(models.Model):
    """Somebody's place in a team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=6, choices=Role, default=Role.MEMBER)
    joined_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_membership_each")]

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"


class Invitation(models.Model):
    """A link that lets one person in, or into a team. Only its hash is kept: who has the link has the invitation."""

    digest = models.CharField(max_length=64, unique=True)
    email = models.EmailField(_("e-mail"), blank=True)  # empty: whoever has the link
    role = models.CharField(_("role"), max_length=6, choices=Role, default=Role.MEMBER)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="invitations")
    team_role = models.CharField(_("role in the team"), max_length=6, choices=Role, default=Role.MEMBER)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="invitations")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.email or str(_("an open link"))

    @property
    def is_open(self) -> bool:
        return self.accepted_at is None and self.revoked_at is None and self.expires_at > timezone.now()

    def is_for(self, email: str) -> bool:
        return not self.email or self.email == email.lower()


class Scope(models.TextChoices):
    """What a key may be used for."""

    CHAT = "chat", _("chat and completions")
    EMBEDDINGS = "embeddings", _("embeddings")
    CLASSIFY = "classify", _("classification")
    SEARCH = "search", _("collections of pictures and searching them")
    ANOMALY = "anomaly", _("assets, their readings, and what is found in them")
    MODELS = "models:read", _("list models")
    REQUESTS = "requests:read", _("follow and stop its owner's requests")
    CONVERSATIONS = "conversations", _("its owner's conversations, presets, comparisons")
    ACCOUNT = "account", _("its owner's profile, keys, usage and teams, and invitations to these")
    NOTICES = "notices", _("its owner's notices, whatever they are about")
    ADMIN = "admin", _("what administrators do: models, deployments, people, limits, audit log, metrics")


class APIKey(models.Model):
    """A secret that acts for its owner. Only the hash is kept; the prefix is what people see again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="api_keys")
    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(max_length=16, db_index=True)
    digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope))
    deployments = ArrayField(models.CharField(max_length=80), default=list, blank=True)  # names; none is all
    replaces = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    # The scope admin counts: there is a second factor, or none is wanted. Known where a key is recognised (keys.py).
    may_administer = False

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("API key")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_active(self) -> bool:
        return self.revoked_at is None and not self.is_expired

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def may_use(self, model: str) -> bool:
        """Whether it may reach the deployment of this name."""
        return not self.deployments or model in self.deployments

    def was_used_since(self, moment: datetime) -> bool:
        return self.last_used_at is not None and self.last_used_at >= moment
