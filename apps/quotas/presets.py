"""Limits that belong together, for a person, a team or a key."""

from apps.quotas.models import Metric, Window

Preset = dict[tuple[Metric, Window], int]

PRESETS: dict[str, Preset] = {
    "free": {
        (Metric.REQUESTS, Window.MINUTE): 10,
        (Metric.REQUESTS, Window.DAY): 200,
        (Metric.INPUT_TOKENS, Window.DAY): 200_000,
        (Metric.OUTPUT_TOKENS, Window.MINUTE): 20_000,
        (Metric.OUTPUT_TOKENS, Window.DAY): 100_000,
        (Metric.COMPUTE_SECONDS, Window.DAY): 3_600,
        (Metric.CONCURRENT_REQUESTS, Window.NOW): 2,
        (Metric.STORED_BYTES, Window.NOW): 500_000_000,
    },
    "standard": {
        (Metric.REQUESTS, Window.MINUTE): 60,
        (Metric.REQUESTS, Window.DAY): 5_000,
        (Metric.INPUT_TOKENS, Window.DAY): 5_000_000,
        (Metric.OUTPUT_TOKENS, Window.MINUTE): 100_000,
        (Metric.OUTPUT_TOKENS, Window.DAY): 2_000_000,
        (Metric.COMPUTE_SECONDS, Window.MONTH): 500_000,
        (Metric.CONCURRENT_REQUESTS, Window.NOW): 8,
        (Metric.STORED_BYTES, Window.NOW): 20_000_000_000,
    },
    "unlimited": {},
}
