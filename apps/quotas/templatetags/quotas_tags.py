"""Amounts on the pages of usage and limits."""

from typing import Any

from django import template

from apps.quotas import units
from apps.quotas.usage_charts import model_name as _model_name

register = template.Library()
register.filter("model_name", _model_name)


@register.simple_tag
def amount(metric: str, value: Any, currency: str = "") -> str:
    return units.amount(metric, value, currency)


@register.filter
def metric_name(metric: str) -> str:
    return str(units.NAMES[metric])


register.simple_tag(units.limit_name)
