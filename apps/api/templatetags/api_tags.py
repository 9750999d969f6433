"""Filters of the API reference."""

import re

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
_CODE = re.compile(r"`([^`]+)`")


@register.filter
def coded(text: str) -> SafeString:
    """What stands between `backticks` as code; everything else escaped."""
    return mark_safe(_CODE.sub(r'<code class="mono">\1</code>', str(escape(text))))
