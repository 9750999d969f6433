"""What may be used, what was used, and what it costs."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    """Whose use is counted. A request counts for the organisation, one team, one person and, with a key, the key."""

    ORGANIZATION = "organization", _("organisation")
    TEAM = "team", _("team")
    USER = "user", _("person")
    KEY = "key", _("API key")


class Metric(models.TextChoices):
    REQUESTS = "requests", _("requests")
    INPUT_TOKENS = "input_tokens", _("input tokens")
    OUTPUT_TOKENS = "output_tokens", _("output tokens")
    COMPUTE_SECONDS = "compute_seconds", _("compute seconds")
    STORED_BYTES = "stored_bytes", _("stored bytes")
    CONCURRENT_REQUESTS = "concurrent_requests", _("requests at once")


class Window(models.TextChoices):
    """Minute and hour slide; day and month begin at midnight in the organisation's time zone. NOW is for what is held,
    not spent: concurrent requests and stored bytes."""

    MINUTE = "minute", _("a minute")
    HOUR = "hour", _("an hour")
    DAY = "day", _("a day")
    MONTH = "month", _("a month")
    NOW = "now", _("at any time")


class Limit(models.Model):
    """At most `amount` of a metric in a window. An empty `subject` is the default of everybody in the scope; a limit
    that names a subject replaces the default of the same metric and window."""

    scope = models.CharField(max_length=12, choices=Scope)
    subject = models.CharField(max_length=40, blank=True)  # pk of the team, person or key; empty for the organisation
    metric = models.CharField(max_length=20, choices=Metric)
    window = models.CharField(max_length=8, choices=Window)
    amount = models.BigIntegerField(null=True, blank=True)  # none: no limit, also where the default has one
    set_by = models.CharField(max_length=254)  # e-mail address, or "preset free"
    set_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "subject", "metric", "window"], name="one_limit_each"),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="limit_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.subject or '*'}: {self.amount} {self.metric} {self.window}"


class Price(models.Model):
    """What one unit of a metric costs, in the organisation's currency. Without a deployment it is the price of each
    that has none of its own. A change counts from then on: an entry of the ledger keeps what it cost."""

    deployment = models.CharField(max_length=80, blank=True)
    metric = models.CharField(max_length=20, choices=Metric)
    per_unit = models.DecimalField(max_digits=20, decimal_places=12)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["deployment", "metric"], name="one_price_each")]

    def __str__(self) -> str:
        return f"{self.deployment or '*'} {self.metric}: {self.per_unit}"


class LedgerEntry(models.Model):
    """What one request, job or upload used. Rows are added, never changed: the database refuses it. No foreign keys: an
    entry outlives the person, the key, the chat and the deployment, and names them as they were called."""

    at = models.DateTimeField()  # when it ended
    source = models.CharField(max_length=80, unique=True)  # what was used for, once: "request:<id>", "job:<id>"
    kind = models.CharField(max_length=40)  # the task: "text-generation", "feature-extraction", "job", "storage"
    user_id = models.BigIntegerField(null=True)
    user_label = models.CharField(max_length=254, blank=True)
    team_id = models.BigIntegerField(null=True)
    team_label = models.CharField(max_length=80, blank=True)
    key_id = models.UUIDField(null=True)
    key_label = models.CharField(max_length=100, blank=True)
    deployment = models.CharField(max_length=80, blank=True)
    revision = models.CharField(max_length=100, blank=True)
    requests = models.PositiveIntegerField(default=1)
    input_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    compute_seconds = models.FloatField(default=0)
    stored_bytes = models.BigIntegerField(default=0)  # negative when something was deleted
    cost = models.DecimalField(max_digits=20, decimal_places=9, default=0)
    outcome = models.CharField(max_length=20, blank=True)  # stop, length, abort, error

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "ledger entries"
        indexes = [
            models.Index(fields=["-at", "-id"], name="ledger_at"),
            models.Index(fields=["user_id", "-at"], name="ledger_user"),
            models.Index(fields=["team_id", "-at"], name="ledger_team"),
            models.Index(fields=["key_id", "-at"], name="ledger_key"),
        ]

    def __str__(self) -> str:
        return self.source


class Refusal(models.Model):
    """Requests that a limit turned away, one row an hour and limit, so that somebody can see where it pinches."""

    hour = models.DateTimeField()
    scope = models.CharField(max_length=12, choices=Scope)
    subject = models.CharField(max_length=40, blank=True)
    subject_label = models.CharField(max_length=254, blank=True)
    metric = models.CharField(max_length=20, choices=Metric)
    window = models.CharField(max_length=8, choices=Window)
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "scope", "subject", "metric", "window"], name="one_refusal_row_each"
            )
        ]
        indexes = [models.Index(fields=["-hour"], name="refusal_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} {self.scope} {self.subject} {self.metric}: {self.count}"


class UsageDay(models.Model):
    """The ledger summed up, one row for each day and combination of who used what. Days are those of the organisation's
    time zone. Derived: `roll_up` makes it anew whenever that is needed."""

    day = models.DateField()
    team_id = models.BigIntegerField(null=True)
    team_label = models.CharField(max_length=80, blank=True)
    user_id = models.BigIntegerField(null=True)
    user_label = models.CharField(max_length=254, blank=True)
    key_id = models.UUIDField(null=True)
    key_label = models.CharField(max_length=100, blank=True)
    deployment = models.CharField(max_length=80, blank=True)
    requests = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    compute_seconds = models.FloatField(default=0)
    stored_bytes = models.BigIntegerField(default=0)
    cost = models.DecimalField(max_digits=24, decimal_places=9, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["day", "team_id", "user_id", "key_id", "deployment"],
                name="one_day_each",
                nulls_distinct=False,
            )
        ]
        indexes = [
            models.Index(fields=["team_id", "day"], name="usage_team"),
            models.Index(fields=["user_id", "day"], name="usage_user"),
            models.Index(fields=["key_id", "day"], name="usage_key"),
            models.Index(fields=["day"], name="usage_stored", condition=~models.Q(stored_bytes=0)),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.user_label} {self.deployment}"


class UsageHour(models.Model):
    """Requests by hour of the day, for each day and subject; derived as `UsageDay` is."""

    scope = models.CharField(max_length=12, choices=Scope)
    subject = models.CharField(max_length=40, blank=True)
    day = models.DateField()
    hour = models.PositiveSmallIntegerField()  # 0 to 23
    requests = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "subject", "day", "hour"], name="one_hour_each")]

    def __str__(self) -> str:
        return f"{self.day} {self.hour}:00 {self.scope} {self.subject}: {self.requests}"


class RollUp(models.Model):
    """How far the ledger is summed up, and in which time zone: one row."""

    last_id = models.BigIntegerField(default=0)  # of the newest entry that is in the sums
    time_zone = models.CharField(max_length=60, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_roll_up")]

    def __str__(self) -> str:
        return f"up to {self.last_id}, {self.time_zone}"
