"""What people send to the pages of anomaly. The API holds its bodies to the same."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Team, User
from apps.anomaly.models import Sensor
from apps.anomaly.models.assets import MOST_DAYS


class TagsField(forms.CharField):
    """Words with commas between them."""

    def clean(self, value: Any) -> list[str]:
        words = [word.strip() for word in super().clean(value).split(",")]
        tags = list(dict.fromkeys(word for word in words if word))
        if any(len(tag) > 40 for tag in tags) or len(tags) > 20:
            raise ValidationError(_("At most 20 tags of 40 characters."))
        return tags


class AssetForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80)
    about = forms.CharField(label=_("About it"), max_length=4000, required=False)
    team = forms.ModelChoiceField(Team.objects.none(), label=_("Team"), required=False)
    tags = TagsField(label=_("Tags"), max_length=1000, required=False)
    group_seconds = forms.IntegerField(
        label=_("Alarms within so many seconds are one incident"), min_value=0, max_value=604_800, required=False
    )

    def __init__(self, *arguments: Any, user: User, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["team"].queryset = Team.objects.filter(memberships__user=user)  # type: ignore[attr-defined]

    def clean_group_seconds(self) -> int:
        found = self.cleaned_data["group_seconds"]
        return 300 if found is None else int(found)


class SensorForm(forms.ModelForm[Sensor]):
    tags = TagsField(label=_("Tags"), max_length=1000, required=False)
    keep_days = forms.IntegerField(
        label=_("Days that readings are kept"), min_value=1, max_value=MOST_DAYS, required=False
    )

    class Meta:
        model = Sensor
        fields = ["key", "name", "unit", "interval", "tags", "keep_days"]


class UploadForm(forms.Form):
    asset = forms.UUIDField()


class MappingForm(forms.Form):
    """How a file is to be read, as JSON."""

    mapping = forms.CharField(max_length=1_000_000)

    def clean_mapping(self) -> Any:
        return _json(self.cleaned_data["mapping"])


class LayoutForm(forms.Form):
    content = forms.CharField(max_length=20_000)

    def clean_content(self) -> Any:
        return _json(self.cleaned_data["content"])


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValidationError(_("This is not JSON.")) from None
