"""What people send to the pages of search."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Team, User
from apps.search.permissions import teams_to_share_with


class CollectionForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80)
    team = forms.ModelChoiceField(Team.objects.none(), label=_("Team"), required=False)
    about = forms.CharField(label=_("About it"), max_length=4000, required=False)
    keeps_location = forms.BooleanField(label=_("Keep where pictures were taken"), required=False)

    def __init__(self, *arguments: Any, user: User, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["team"].queryset = teams_to_share_with(user)  # type: ignore[attr-defined]


class NewCollectionForm(CollectionForm):
    deployment = forms.CharField(label=_("Model"), max_length=80)


class UploadForm(forms.Form):
    """`upload` goes on with one, `collection` begins one."""

    collection = forms.UUIDField(required=False)
    upload = forms.UUIDField(required=False)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if not data.get("collection") and not data.get("upload"):
            raise forms.ValidationError(_("Say to which collection."))
        return data


class DescribeForm(forms.Form):
    tags = forms.CharField(label=_("Tags"), required=False, max_length=1000)
    caption = forms.CharField(label=_("Caption"), required=False, max_length=1000)


class SaveForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80)
    query = forms.CharField(required=False, max_length=4000)


class ClickForm(forms.Form):
    query = forms.CharField(required=False, max_length=2000)
    place = forms.IntegerField(min_value=1, max_value=100_000)
    picture = forms.UUIDField(required=False)
    text = forms.IntegerField(required=False, min_value=1)


class QuestionForm(forms.Form):
    """Of a `picture` of a collection, or one that was `sent`."""

    deployment = forms.CharField(label=_("Model"), max_length=80)
    question = forms.CharField(label=_("Question"), max_length=400)
    picture = forms.UUIDField(required=False)
    sent = forms.UUIDField(required=False)


class TextsForm(forms.Form):
    file = forms.FileField(label=_("File"), error_messages={"required": _("Choose a file first.")})
