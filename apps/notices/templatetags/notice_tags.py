"""When something happened, in few words."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.notices.queries import MOST

register = template.Library()


@register.filter
def unread_words(count: int) -> str:
    """3, or 99+"""
    return f"{MOST}+" if count > MOST else str(count)


@register.filter
def bell_words(count: int) -> str:
    """What the bell is called."""
    return _("Notices, {n} unread").format(n=unread_words(count)) if count else _("Notices")


@register.filter
def day_of(moment: datetime) -> str:
    """Today, yesterday, or the date: what a list is divided by."""
    day, today = timezone.localtime(moment).date(), timezone.localdate()
    if day == today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    return date_format(day, "DATE_FORMAT")


@register.filter
def at_time(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%H:%M")


@register.filter
def short_moment(moment: datetime) -> str:
    """15:20 of today, else the day: where there is little room."""
    here = timezone.localtime(moment)
    return here.strftime("%H:%M") if here.date() == timezone.localdate() else date_format(here, "MONTH_DAY_FORMAT")
