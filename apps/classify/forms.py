"""What people send to the classification pages."""

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

_KINDS = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson")


class TextForm(forms.Form):
    deployment = forms.CharField(label=_("Model"), max_length=80)
    text = forms.CharField(
        label=_("Text"), max_length=settings.MAX_MESSAGE_CHARS, error_messages={"required": _("Write a text first.")}
    )
    explain = forms.BooleanField(required=False)


class FileForm(forms.Form):
    deployment = forms.CharField(label=_("Model"), max_length=80)
    file = forms.FileField(label=_("File"), max_length=200, error_messages={"required": _("Choose a file first.")})
    column = forms.CharField(label=_("Column"), required=False, max_length=200)

    def clean_file(self) -> UploadedFile:
        upload: UploadedFile = self.cleaned_data["file"]
        if not str(upload.name).lower().endswith(_KINDS):
            raise forms.ValidationError(_("Send a .txt, .csv, .tsv or .jsonl file."))
        return upload
