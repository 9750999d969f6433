"""What people send to the pages of teach."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Team, User
from apps.teach.models import Classifier, Label
from apps.teach.permissions import teams_to_share_with
from contracts.few_shot import MOST_CLASSES

_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")


class ClassifierForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80)
    team = forms.ModelChoiceField(Team.objects.none(), label=_("Team"), required=False)

    def __init__(self, *arguments: Any, user: User, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["team"].queryset = teams_to_share_with(user)  # type: ignore[attr-defined]


class NewClassifierForm(ClassifierForm):
    reads = forms.ChoiceField(label=_("What it reads"), choices=Classifier.Reads.choices)
    labels = forms.CharField(label=_("Classes"), max_length=2000)

    def clean_labels(self) -> list[str]:
        lines = (line.strip()[:60] for line in self.cleaned_data["labels"].splitlines())
        names = list(dict.fromkeys(line for line in lines if line))
        if not 2 <= len(names) <= MOST_CLASSES:
            raise forms.ValidationError(_("Name 2 to %(n)s classes, a line each.") % {"n": MOST_CLASSES})
        return names


class LabelForm(forms.Form):
    name = forms.CharField(label=_("Class"), max_length=60)


class ExamplesForm(forms.Form):
    """`label` is a class of the classifier; without one what comes waits for it."""

    label = forms.ModelChoiceField(Label.objects.none(), label=_("Class"), required=False)

    def __init__(self, *arguments: Any, classifier: Classifier, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["label"].queryset = classifier.labels.all()  # type: ignore[attr-defined]


class TextsForm(ExamplesForm):
    texts = forms.CharField(label=_("Texts"), max_length=600_000, error_messages={"required": _("Write a text first.")})


class GivenLabelForm(ExamplesForm):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["label"].required = True


class TableForm(forms.Form):
    file = forms.FileField(label=_("File"), max_length=200, error_messages={"required": _("Choose a file first.")})

    def clean_file(self) -> UploadedFile:
        upload: UploadedFile = self.cleaned_data["file"]
        if not str(upload.name).lower().endswith(_TABLES):
            raise forms.ValidationError(_("Send a .csv, .tsv or .jsonl file."))
        return upload


class ClassifierIdForm(forms.Form):
    classifier = forms.UUIDField()
