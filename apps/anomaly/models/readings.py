"""Readings, scores, and the sums that charts of long spans are drawn from.

The tables are partitioned by time (partitions.py). There are no foreign keys: a partition comes and goes without
locking other tables, and the rows of a deleted sensor are removed behind the page (Leftover).
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Reading(models.Model):
    """One number. Its key is sensor and time: whoever sends it again changes nothing."""

    pk = models.CompositePrimaryKey("sensor_id", "at")
    sensor_id = models.IntegerField()
    at = models.DateTimeField()
    value = models.FloatField()

    class Meta:
        db_table = "anomaly_reading"

    def __str__(self) -> str:
        return f"{self.sensor_id} {self.at}"


class Score(models.Model):
    """What a detector says of one of its steps. `expected` has a value for each of its sensors."""

    pk = models.CompositePrimaryKey("detector_id", "at")
    detector_id = models.IntegerField()
    at = models.DateTimeField()
    value = models.FloatField()
    expected = ArrayField(models.FloatField(null=True), null=True)

    class Meta:
        db_table = "anomaly_score"

    def __str__(self) -> str:
        return f"{self.detector_id} {self.at}"


class _Sums(models.Model):
    """Of all rows in a span of `width` seconds that begins at `at`, with the moments of the lowest and the highest, so
    that a chart shows readings and no averages."""

    width = models.SmallIntegerField()  # 60 or 3600
    at = models.DateTimeField()
    count = models.IntegerField()
    total = models.FloatField()
    low = models.FloatField()
    low_at = models.DateTimeField()
    high = models.FloatField()
    high_at = models.DateTimeField()

    class Meta:
        abstract = True


class Bucket(_Sums):
    pk = models.CompositePrimaryKey("sensor_id", "width", "at")
    sensor_id = models.IntegerField()

    class Meta:
        db_table = "anomaly_bucket"

    def __str__(self) -> str:
        return f"{self.sensor_id} {self.width} {self.at}"


class ScoreBucket(_Sums):
    pk = models.CompositePrimaryKey("detector_id", "width", "at")
    detector_id = models.IntegerField()

    class Meta:
        db_table = "anomaly_score_bucket"

    def __str__(self) -> str:
        return f"{self.detector_id} {self.width} {self.at}"


class Leftover(models.Model):
    """A sensor or detector that is gone and whose rows are not yet."""

    class Kind(models.TextChoices):
        SENSOR = "sensor"
        DETECTOR = "detector"

    kind = models.CharField(max_length=8, choices=Kind)
    number = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"
