"""Forms of the limits page."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from apps.quotas import subjects, units
from apps.quotas.models import Metric, Scope, Window
from apps.quotas.presets import PRESETS
from apps.quotas.prices import UNITS
from apps.quotas.subjects import Subject
from apps.serving.models import Deployment

SPENT = (Metric.REQUESTS, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS, Metric.COMPUTE_SECONDS)
_HELD = (Metric.CONCURRENT_REQUESTS, Metric.STORED_BYTES)
_WINDOWS = (Window.MINUTE, Window.HOUR, Window.DAY, Window.MONTH)
_lazy_name = lazy(units.limit_name, str)
# Metric and window together: what cannot be limited cannot be chosen either.
WHAT = [
    *(
        (units.NAMES[metric], [(f"{metric}:{window}", _lazy_name(metric, window)) for window in _WINDOWS])
        for metric in SPENT
    ),
    (gettext_lazy("At any time"), [(f"{metric}:{Window.NOW}", units.NAMES[metric]) for metric in _HELD]),
]
_ALL = {
    Scope.TEAM: pgettext_lazy("limits", "every team"),
    Scope.USER: pgettext_lazy("limits", "every person"),
    Scope.KEY: pgettext_lazy("limits", "every key"),
}


class SubjectForm(forms.Form):
    """Whom it is for. Without a name it is the default of the whole scope."""

    scope = forms.ChoiceField(label=gettext_lazy("For"), choices=Scope)
    subject = forms.CharField(label=gettext_lazy("Which one"), required=False, max_length=254)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        scope, name = values.get("scope"), values.get("subject", "").strip()
        if scope and name and scope != Scope.ORGANIZATION:
            found = subjects.called(Scope(scope), name)
            if found is None:
                self.add_error("subject", _("There is none with this name."))
            values["found"] = found
        return values

    @property
    def holder(self) -> Subject:
        """Whom it is for; of a default the label says so."""
        scope = Scope(self.cleaned_data["scope"])
        if scope == Scope.ORGANIZATION:
            return subjects.organization()
        return self.cleaned_data.get("found") or Subject(scope, "", str(_ALL[scope]))


class LimitForm(SubjectForm):
    what = forms.ChoiceField(label=gettext_lazy("Limits"), choices=WHAT)
    amount = forms.CharField(label=gettext_lazy("At most"), required=False, max_length=40)
    unlimited = forms.BooleanField(label=gettext_lazy("No limit"), required=False)

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if "what" in values:
            values["metric"], values["window"] = self._what(values["what"])
            if not values.get("unlimited"):
                self._read_amount(values)
        return values

    def _read_amount(self, values: dict[str, Any]) -> None:
        try:
            values["number"] = units.parse(values["metric"], values.get("amount", ""))
        except ValueError:
            self.add_error("amount", _("Write a number, such as 600, 1.5M, 10 h or 50 GB."))

    @staticmethod
    def _what(text: str) -> tuple[Metric, Window]:
        metric, _colon, window = text.partition(":")
        return Metric(metric), Window(window)

    @property
    def number(self) -> int | None:
        """None: no limit."""
        return self.cleaned_data.get("number")


class PresetForm(SubjectForm):
    preset = forms.ChoiceField(label=gettext_lazy("Preset"), choices=[(name, name) for name in PRESETS])


class PriceForm(forms.Form):
    deployment = forms.CharField(label=gettext_lazy("Model"), required=False, max_length=80)
    metric = forms.ChoiceField(label=gettext_lazy("For"), choices=[(each, UNITS[each].words) for each in UNITS])
    price = forms.DecimalField(
        label=gettext_lazy("Price"), min_value=Decimal(0), max_value=Decimal(10**7), decimal_places=6
    )

    def clean_deployment(self) -> str:
        name: str = self.cleaned_data["deployment"]
        if name and not Deployment.objects.filter(name=name).exists():
            raise ValidationError(_("There is none with this name."))
        return name
