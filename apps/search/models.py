"""Collections of pictures, the indexes over them, and what people send, save and click."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField


class Collection(models.Model):
    """Pictures that are searched together. Its owner changes it; whoever is in its team sees and searches it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="collections")
    team = models.ForeignKey(
        "accounts.Team", null=True, blank=True, on_delete=models.SET_NULL, related_name="collections"
    )
    # With which it was made, if it was: its limits hold, and its team pays.
    key = models.ForeignKey("accounts.APIKey", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(_("name"), max_length=80)
    about = models.TextField(_("about it"), max_length=4000, blank=True)  # what is in it, and under which licence
    keeps_location = models.BooleanField(_("keep where pictures were taken"), default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        indexes = [models.Index(fields=["owner", "-created_at"], name="collection_of_owner")]

    def __str__(self) -> str:
        return self.name


class Picture(models.Model):
    """One picture of a collection: the file as it is kept, without what it does not need to tell, and a small copy.

    Its id follows from the collection and the content, so that whoever stores it twice writes the same files.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="pictures")
    sha256 = models.CharField(max_length=64)  # of the file as it came
    phash = models.BigIntegerField()  # perceptual: differences of brightness between neighbours, 64 bits
    colour = models.IntegerField()  # mean, 0xRRGGBB
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=5)  # of the file as it came: jpeg, png, webp, gif, avif, heic, bmp, tiff
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    bytes = models.PositiveBigIntegerField()  # of both files, as they count against limits
    file = models.CharField(max_length=200)  # name in the storage
    thumbnail = models.CharField(max_length=200)
    caption = models.CharField(max_length=1000, blank=True)
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    taken_at = models.DateTimeField(null=True, blank=True)  # as the camera says, in its own time
    added_at = models.DateTimeField(default=timezone.now)
    held_as = models.CharField(max_length=120)  # under what its bytes are held

    class Meta:
        constraints = [models.UniqueConstraint(fields=["collection", "sha256"], name="picture_once")]
        indexes = [
            models.Index(fields=["collection", "-added_at", "-id"], name="picture_newest"),
            models.Index(fields=["collection", "phash"], name="picture_phash"),
            GinIndex(fields=["tags"], name="picture_tags"),
        ]

    def __str__(self) -> str:
        return self.name


class Upload(models.Model):
    """Files that were sent together, and how far they are: the sum of its items."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="uploads")
    is_paused = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["collection", "-created_at"], name="upload_of_collection")]

    def __str__(self) -> str:
        return f"{self.collection_id} {self.created_at}"


class UploadItem(models.Model):
    """One file. It ends as DONE (it can be found), KNOWN (the collection had it) or FAILED with a sentence."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        READING = "reading", _("being read")
        STORED = "stored", _("stored, not yet in the index")
        DONE = "done", _("can be found")
        KNOWN = "known", _("was there already")
        FAILED = "failed", _("failed")

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="items")
    name = models.CharField(max_length=200)
    file = models.FileField(upload_to="search/incoming/", max_length=200, blank=True)  # until it has been read
    position = models.PositiveIntegerField(null=True, blank=True)  # of an archive: the next entry to unpack
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=400, blank=True)
    picture = models.ForeignKey(Picture, null=True, blank=True, on_delete=models.SET_NULL, related_name="items")

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["upload", "state"], name="item_of_upload"),
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "reading"]), name="item_to_read"),
            models.Index(fields=["picture"], condition=models.Q(state="stored"), name="item_stored"),
        ]

    def __str__(self) -> str:
        return self.name


class Index(models.Model):
    """The vectors of a collection by one version of a model. One serves; another may be building meanwhile."""

    class State(models.TextChoices):
        BUILDING = "building", _("building")
        SERVING = "serving", _("serving")

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="indexes")
    deployment = models.CharField(max_length=80)
    version = models.ForeignKey("registry.ModelVersion", on_delete=models.PROTECT, related_name="+")
    dimensions = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State, default=State.BUILDING)
    problem = models.CharField(max_length=400, blank=True)  # why it waits
    recall = models.FloatField(null=True, blank=True)  # at 10, against all pictures, as last measured
    recall_ms = models.FloatField(null=True, blank=True)  # median of those searches
    recall_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["collection", "state"], name="one_index_each"),
        ]

    def __str__(self) -> str:
        return f"{self.deployment} v{self.version.number}"

    @property
    def recall_seconds(self) -> float | None:
        """Median of the searches that the recall was measured with."""
        return None if self.recall_ms is None else self.recall_ms / 1000


class Vector(models.Model):
    """A picture as a model sees it, length one. The table is partitioned by index (vectors.py): made and dropped whole.

    There are no foreign keys below: a partition must come and go without locking the tables of pictures and indexes.
    """

    pk = models.CompositePrimaryKey("index_id", "picture_id")
    index = models.ForeignKey(Index, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    picture = models.ForeignKey(Picture, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    embedding = HalfVectorField()

    def __str__(self) -> str:
        return f"{self.index_id} {self.picture_id}"


class CatalogueText(models.Model):
    """A line of the texts that pictures are described with: a product, a caption."""

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="texts")
    code = models.CharField(max_length=80, blank=True)  # as the owner's own system calls it
    text = models.CharField(max_length=1000)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["collection", "code", "text"], name="text_once")]

    def __str__(self) -> str:
        return self.text


class TextVector(models.Model):
    """A text as a model reads it. Catalogues are small: they are compared one by one, exactly."""

    index = models.ForeignKey(Index, on_delete=models.CASCADE, related_name="text_vectors")
    text = models.ForeignKey(CatalogueText, on_delete=models.CASCADE, related_name="vectors")
    embedding = HalfVectorField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["index", "text"], name="text_vector_once")]

    def __str__(self) -> str:
        return f"{self.index_id} {self.text_id}"


class Pending(models.Model):
    """A picture or a text that an index does not have yet. Goes with its vector; one that failed says why."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")

    index = models.ForeignKey(Index, on_delete=models.CASCADE, related_name="pending")
    picture = models.ForeignKey(Picture, null=True, on_delete=models.CASCADE, related_name="+")
    text = models.ForeignKey(CatalogueText, null=True, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    request_id = models.CharField(max_length=64, blank=True)
    place = models.PositiveSmallIntegerField(default=0)  # among those of its request
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["index", "picture"], name="pending_picture_once"),
            models.UniqueConstraint(fields=["index", "text"], name="pending_text_once"),
            models.CheckConstraint(
                condition=models.Q(picture=None, text__isnull=False) | models.Q(picture__isnull=False, text=None),
                name="pending_is_of_one",
            ),
        ]
        indexes = [
            models.Index(fields=["index", "state", "id"], name="pending_next"),
            models.Index(fields=["request_id"], condition=models.Q(state="sent"), name="pending_of_request"),
        ]

    def __str__(self) -> str:
        return f"{self.index_id} {self.picture_id or self.text_id}"


class QueryPicture(models.Model):
    """A picture that somebody searches with. Kept for a day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)
    file = models.FileField(upload_to="search/incoming/", max_length=200, blank=True)  # until it has been read
    thumbnail = models.CharField(max_length=200, blank=True)
    error = models.CharField(max_length=400, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.name

    @property
    def is_ready(self) -> bool:
        return bool(self.thumbnail)


class SavedSearch(models.Model):
    """A query with a name. Whoever sees the collection may open it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="searches")
    name = models.CharField(_("name"), max_length=80)
    query = models.CharField(max_length=2000)  # as it stands in the address
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        verbose_name_plural = "saved searches"

    def __str__(self) -> str:
        return self.name


class Click(models.Model):
    """Which result somebody opened: what a search is measured by."""

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="clicks")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    query = models.CharField(max_length=2000)
    picture = models.ForeignKey(Picture, null=True, on_delete=models.CASCADE, related_name="+")
    text = models.ForeignKey(CatalogueText, null=True, on_delete=models.CASCADE, related_name="+")
    place = models.PositiveIntegerField()  # from 1
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["collection", "-created_at"], name="click_of_collection")]

    def __str__(self) -> str:
        return f"{self.place}: {self.query}"
