"""What people send to the pages of signals."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.anomaly.models import AlertRule, Asset, Detector, Sensor, Severity
from apps.anomaly.models.detectors import KINDS

_BETWEEN = re.compile(r"[,，;；\n]+")
_MOST_EMAILS = 20
_LATEST = 4_102_444_800  # 2100


class Words(forms.CharField):
    """Addresses with commas between them."""

    def __init__(self, *, most: int, length: int, **options: Any) -> None:
        super().__init__(required=False, max_length=(length + 2) * most, **options)
        self.most, self.length = most, length

    def clean(self, value: Any) -> list[str]:
        found = list(dict.fromkeys(each.strip() for each in _BETWEEN.split(super().clean(value)) if each.strip()))
        if len(found) > self.most or any(len(each) > self.length for each in found):
            raise forms.ValidationError(
                _("At most %(n)s, each of at most %(length)s characters.") % {"n": self.most, "length": self.length}
            )
        return found


class _OfAsset(forms.Form):
    """Has fields that name things of one asset."""

    def __init__(self, *arguments: Any, asset: Asset, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name, found in (("sensor", asset.sensors), ("sensors", asset.sensors), ("detector", asset.detectors)):
            if name in self.fields:
                self.fields[name].queryset = found.all()  # type: ignore[attr-defined]


class BudgetField(forms.CharField):
    """`1 day`: how many false alarms, and per what."""

    def clean(self, value: Any) -> tuple[float, str]:
        amount, _space, per = super().clean(value).partition(" ")
        try:
            return float(amount), {"day": "day", "cent": "cent"}[per]
        except (ValueError, KeyError):
            raise forms.ValidationError(_("Choose one of the list.")) from None


class FitForm(forms.Form):
    """What to learn from, and how often the detector may be wrong."""

    kind = forms.ChoiceField(label=_("Detector"), choices=[(one.value, name) for one, name in KINDS.items()])
    begin = forms.DateTimeField(label=_("From"))
    end = forms.DateTimeField(label=_("To"))
    budget = BudgetField(label=_("False alarms I accept"))

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("begin") and data.get("end") and data["begin"] >= data["end"]:
            raise forms.ValidationError(_("The beginning is before the end."))
        return data


class DetectorForm(_OfAsset, FitForm):
    name = forms.CharField(label=_("Name"), max_length=80)
    sensors = forms.ModelMultipleChoiceField(Sensor.objects.none(), label=_("Sensors"))


class RuleForm(_OfAsset):
    name = forms.CharField(label=_("Name"), max_length=80)
    on = forms.ChoiceField(label=_("When"), choices=AlertRule.On.choices)
    detector = forms.ModelChoiceField(Detector.objects.none(), label=_("Detector"), required=False)
    sensor = forms.ModelChoiceField(Sensor.objects.none(), label=_("Sensor"), required=False)
    severity = forms.ChoiceField(label=_("Severity"), choices=Severity.choices)
    for_seconds = forms.IntegerField(label=_("For at least (seconds)"), min_value=0, max_value=604_800)
    clear_percent = forms.FloatField(
        label=_("Over when below (of a hundred parts of the threshold)"), min_value=10, max_value=100
    )
    emails = Words(label=_("E-mail to"), most=_MOST_EMAILS, length=254)
    webhook = forms.URLField(label=_("Webhook"), max_length=500, required=False, assume_scheme="https")
    in_app = forms.BooleanField(label=_("Tell everybody who sees the asset"), required=False)
    tells_end = forms.BooleanField(label=_("Also tell when it is over"), required=False)
    is_active = forms.BooleanField(label=_("Active"), required=False)

    def clean_emails(self) -> list[str]:
        emails: list[str] = self.cleaned_data["emails"]
        for each in emails:
            forms.EmailField().clean(each)
        return emails

    def values(self) -> dict[str, Any]:
        """Fields of a rule."""
        values = dict(self.cleaned_data)
        values["clear_ratio"] = values.pop("clear_percent") / 100
        return values


class SilenceForm(_OfAsset):
    """From now, or a moment, for some hours."""

    sensor = forms.ModelChoiceField(Sensor.objects.none(), label=_("Sensor"), required=False)
    severity = forms.ChoiceField(label=_("Up to"), choices=Severity.choices)
    begins_at = forms.DateTimeField(label=_("From"), required=False)
    hours = forms.FloatField(label=_("For hours"), min_value=0.1, max_value=24 * 90)
    reason = forms.CharField(label=_("Reason"), max_length=200, required=False)

    def span(self) -> tuple[datetime, datetime]:
        begins: datetime = self.cleaned_data["begins_at"] or timezone.now()
        return begins, begins + timedelta(hours=self.cleaned_data["hours"])


class QuietForm(forms.Form):
    """One row of quiet hours."""

    days = forms.TypedMultipleChoiceField(label=_("Days"), coerce=int, choices=[(n, n) for n in range(7)])
    begins = forms.TimeField(label=_("From"))
    ends = forms.TimeField(label=_("To"))
    severity = forms.ChoiceField(label=_("Up to"), choices=Severity.choices)


class ActForm(forms.Form):
    act = forms.ChoiceField(choices=[(one, one) for one in ("acknowledge", "resolve", "call_false", "reopen")])


class CommentForm(forms.Form):
    text = forms.CharField(label=_("Comment"), max_length=4000)


class AssignForm(forms.Form):
    to = forms.ModelChoiceField(User.objects.none(), label=_("Assignee"), required=False)

    def __init__(self, *arguments: Any, people: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["to"].queryset = people  # type: ignore[attr-defined]


def moment_of(text: str) -> float | None:
    """Seconds since the epoch of `text` (such a number, or ISO 8601), or None for what is no moment of this age."""
    try:
        found = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        found = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return found if 0 <= found < _LATEST else None
