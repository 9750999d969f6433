"""What administrators fill in. Limits are the models'; the services say what cannot be granted."""

from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

from apps.registry.adapting import SAME, Base
from apps.registry.models import ModelVersion
from apps.registry.training import MESH, MOST_PROCESSES, MOST_SEED
from apps.registry.training import PRECISIONS as TRAINED
from apps.serving.models import Deployment, Revision
from contracts.adaptation import BOUNDS, Settings
from contracts.adaptation import PRECISIONS as ADAPTED
from contracts.recipes import RECIPES

TASKS = ["auto", "text-generation", "text-classification", "feature-extraction", "zero-shot-image-classification"]
PRECISIONS = ["auto", "fp32", "fp16", "int8", "int4"]


class RevisionForm(forms.ModelForm):
    """A version of a model with the settings it serves under; empty settings are left to the service."""

    version = forms.ModelChoiceField(ModelVersion.objects.none(), label=_("Version"))
    context_length = forms.IntegerField(label=_("context length"), required=False, min_value=16)
    max_batch_size = forms.IntegerField(label=_("largest batch"), required=False, min_value=1, max_value=1024)
    replicas = forms.IntegerField(label=_("workers"), required=False, min_value=1, max_value=64)

    class Meta:
        model = Revision
        fields = ["version", "context_length", "max_batch_size", "provider", "replicas"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        versions = ModelVersion.objects.select_related("model").order_by("model__name", "-number")
        self.fields["version"].queryset = versions  # type: ignore[attr-defined]
        self.fields["provider"].required = False

    def given(self) -> dict[str, Any]:
        """What was filled in, by the name of the setting."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


class DeploymentForm(RevisionForm):
    name = forms.SlugField(label=_("Name"), max_length=80)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if Deployment.objects.filter(name=name).exists():
            raise forms.ValidationError(_("“%(name)s” exists already. Choose another name."), params={"name": name})
        return name


class CanaryForm(RevisionForm):
    weight = forms.IntegerField(min_value=0, max_value=100, required=False)

    def clean_weight(self) -> int:
        return int(self.cleaned_data["weight"] or 0)


class ShareForm(forms.Form):
    """The canary's share; the others keep their proportions of the rest."""

    revision = forms.IntegerField(min_value=1)
    share = forms.IntegerField(min_value=0, max_value=100)


class GuardForm(forms.ModelForm):
    class Meta:
        model = Deployment
        fields = ["guard_error_rate", "guard_p95_seconds", "guard_window", "guard_min_requests", "max_waiting"]


class ScaleForm(forms.Form):
    replicas = forms.IntegerField(label=_("Workers"), min_value=1, max_value=64)


class ImportForm(forms.Form):
    """Empty choices are left to the files of the model."""

    source = forms.CharField(label=_("Source"), max_length=500, required=False)
    upload = forms.FileField(label=_("Source"), required=False)
    name = forms.SlugField(label=_("Name"), max_length=80)
    title = forms.CharField(label=_("Title"), max_length=120, required=False, empty_value="")
    task = forms.ChoiceField(label=_("Task"), choices=[(task, task) for task in TASKS], required=False)
    precision = forms.ChoiceField(label=_("Precision"), choices=[(each, each) for each in PRECISIONS], required=False)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if bool(given.get("source")) == bool(given.get("upload")):
            raise forms.ValidationError(_("Name a folder on the server, or choose a file: one of both."))
        return given

    def given(self) -> dict[str, str]:
        return {name: value for name, value in self.cleaned_data.items() if value and name != "upload"}


class ConversationsForm(forms.Form):
    upload = forms.FileField(label=_("File"), max_length=200, error_messages={"required": _("Choose a file first.")})


class AdaptForm(forms.Form):
    """How a chat model is adapted; what the numbers may be is the contract's."""

    base = forms.TypedChoiceField(label=_("Base"), coerce=int)
    name = forms.SlugField(label=_("Name"), max_length=80)
    title = forms.CharField(label=_("Title"), max_length=120, required=False)
    precision = forms.ChoiceField(label=_("Precision"), choices=[(one, one) for one in (SAME, *ADAPTED)])
    data = forms.CharField(max_length=64)
    rank = forms.IntegerField(label=_("Rank"))
    alpha = forms.IntegerField(label=_("Alpha"))
    learning_rate = forms.FloatField(label=_("Learning rate"))
    epochs = forms.IntegerField(label=_("Passes"))
    batch_size = forms.IntegerField(label=_("Batch size"))
    longest = forms.IntegerField(label=_("Longest, in tokens"))
    seed = forms.IntegerField(label=_("Seed"))

    def __init__(self, *args: Any, bases: list[Base], **kwargs: Any) -> None:
        usual = {**Settings().to_dict(), "name": bases[0].version.model.name if bases else "", "precision": SAME}
        super().__init__(*args, initial=usual | kwargs.pop("initial", {}), **kwargs)
        self.fields["base"].choices = [(one.version.pk, str(one.version)) for one in bases]  # type: ignore[attr-defined]
        for name, bounds in BOUNDS.items():
            self.fields[name].validators += [MinValueValidator(bounds.least), MaxValueValidator(bounds.most)]

    def numbers(self) -> list[forms.BoundField]:
        return [self[name] for name in BOUNDS]

    def given(self) -> dict[str, Any]:
        """As the service takes it."""
        values = dict(self.cleaned_data)
        how = Settings(**{name: values.pop(name) for name in BOUNDS})
        return {**values, "how": how}


class TrainForm(forms.Form):
    """An empty title is the name."""

    recipe = forms.ChoiceField(label=_("Recipe"), choices=[(one.name, one.title) for one in RECIPES])
    name = forms.SlugField(label=_("Name"), max_length=80)
    title = forms.CharField(label=_("Title"), max_length=120, required=False)
    seed = forms.IntegerField(label=_("Seed"), min_value=0, max_value=MOST_SEED)
    precision = forms.ChoiceField(label=_("Precision"), choices=[(one, one) for one in TRAINED])
    dp = forms.IntegerField(label=_("Copies (dp)"), min_value=1, max_value=MOST_PROCESSES, required=False)
    pp = forms.IntegerField(label=_("Stages (pp)"), min_value=1, max_value=MOST_PROCESSES, required=False)
    ep = forms.IntegerField(label=_("Expert parts (ep)"), min_value=1, max_value=MOST_PROCESSES, required=False)
    micro_batches = forms.IntegerField(label=_("Micro-batches"), min_value=1, max_value=1024, required=False)

    def mesh(self) -> list[forms.BoundField]:
        return [self[name] for name in MESH]

    def given(self) -> dict[str, Any]:
        """As the service takes it; what was left empty of the mesh is 1."""
        values = dict(self.cleaned_data)
        mesh = {name: values.pop(name) for name in MESH}
        return {**values, "mesh": {name: value for name, value in mesh.items() if value}}
