"""Assets, their sensors and readings, what watches them, and what was found."""

from apps.anomaly.models.alerts import AlertRule, Delivery, QuietHours, RuleState, Severity, Silence
from apps.anomaly.models.assets import Asset, Layout, Plant, Sensor, Upload
from apps.anomaly.models.detectors import Detector, Fit
from apps.anomaly.models.incidents import Comment, Finding, Incident
from apps.anomaly.models.readings import Bucket, Leftover, Reading, Score, ScoreBucket

__all__ = [
    "AlertRule",
    "Asset",
    "Bucket",
    "Comment",
    "Delivery",
    "Detector",
    "Finding",
    "Fit",
    "Incident",
    "Layout",
    "Leftover",
    "Plant",
    "QuietHours",
    "Reading",
    "RuleState",
    "Score",
    "ScoreBucket",
    "Sensor",
    "Severity",
    "Silence",
    "Upload",
]
