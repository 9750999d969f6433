"""The planner's form, and its plans as the page shows them. Nothing is run, and nothing is read from the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from contracts.mesh_plans import EXAMPLES, Cluster, Example, Row, bubble, plans, ways
from contracts.mixture import Job, Sizes, rows_of

MOST_WAYS = 5000  # compared in half a second
SHOWN = 12
USUAL = EXAMPLES["shakespeare"]
_SAFE = 0.9  # of the memory: plans were up to 8 % too low (CALIBRATION)
_NEAR = 256  # devices fewer, among which a number is looked for that can be divided
_PRECISIONS = {
    "fp32": (4, (4, 4, 8)),
    "bf16": (2, (2, 2, 12)),
}  # bytes of a value, and of a parameter: contracts.mixture


def whole(label: Any, least: int, most: int) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=least, max_value=most)


def real(label: Any, least: float, most: float) -> forms.FloatField:
    return forms.FloatField(label=label, min_value=least, max_value=most)


class PlanForm(forms.Form):
    """What is planned. Bounds keep the comparison short, whatever an address asks for."""

    layers = whole(gettext_lazy("Layers"), 1, 256)
    width = whole(gettext_lazy("Width"), 8, 65_536)
    heads = whole(gettext_lazy("Heads"), 1, 1024)
    kv_heads = whole(gettext_lazy("KV heads"), 1, 1024)
    hidden = whole(gettext_lazy("Expert width"), 1, 262_144)
    experts = whole(gettext_lazy("Experts"), 1, 256)
    picked = whole(gettext_lazy("Top-k experts"), 1, 256)
    shared = whole(gettext_lazy("Shared experts"), 0, 64)
    vocab_size = whole(gettext_lazy("Vocabulary"), 2, 2_000_000)
    length = whole(gettext_lazy("Sequence, tokens"), 1, 1_048_576)
    batch = whole(gettext_lazy("Batch, sequences"), 1, 65_536)
    precision = forms.ChoiceField(label=gettext_lazy("Numbers"), choices=[(one, one) for one in _PRECISIONS])
    devices = whole(gettext_lazy("Devices"), 1, 16_384)
    memory_gb = real(gettext_lazy("Memory each, GB"), 0.01, 10_000)
    overhead_gb = real(gettext_lazy("Overhead, GB"), 0, 1000)
    tflops = real(gettext_lazy("TFLOP/s reached"), 0.0001, 100_000)
    link_gbps = real(gettext_lazy("Link, Gbit/s"), 0.0001, 100_000)
    latency_us = real(gettext_lazy("Latency, µs"), 0, 10_000_000)

    model_fields = ("layers", "width", "heads", "kv_heads", "hidden", "experts", "picked", "shared", "vocab_size")
    step_fields = ("length", "batch", "precision")
    cluster_fields = ("devices", "memory_gb", "overhead_gb", "tflops", "link_gbps", "latency_us")

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        named = (_("Model"), self.model_fields), (_("A step"), self.step_fields), (_("Machines"), self.cluster_fields)
        return [(title, [self[name] for name in names]) for title, names in named]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors:
            self._check_model(dict(given))
        if not self.errors:
            self._check_ways()
        return given

    def _check_model(self, given: dict[str, Any]) -> None:
        if given["width"] % (2 * given["heads"]):
            self.add_error("heads", _("The width must be a multiple of twice the heads: change one of both."))
        if given["heads"] % given["kv_heads"]:
            self.add_error("kv_heads", _("The heads must be a multiple of these: take a number that divides them."))
        if given["picked"] > given["experts"]:
            self.add_error("picked", _("There are %(n)s experts: take as many or fewer.") % {"n": given["experts"]})
        if given["overhead_gb"] >= given["memory_gb"]:
            self.add_error("overhead_gb", _("This leaves a device nothing for the model: give it more memory."))

    def _check_ways(self) -> None:
        count = sum(1 for _way in islice(ways(self.job, self.cluster.devices), MOST_WAYS + 1))
        if count > MOST_WAYS:
            why = _("There are more than %(n)s ways to divide this. Take numbers of devices, experts and sequences "
                    "with fewer divisors, such as powers of two.")  # fmt: skip
            self.add_error("devices", why % {"n": MOST_WAYS})
        elif not count:
            self.add_error("devices", self._no_way())

    def _no_way(self) -> str:
        asked = self.cluster.devices
        fewer = range(asked - 1, max(0, asked - _NEAR), -1)
        near = next((one for one in fewer if any(True for _way in ways(self.job, one))), None)
        why = _("No mesh uses all devices: copies x stages x experts' parts must be their number, stages at most the "
                "layers, and copies x experts' parts must divide the batch.")  # fmt: skip
        return why if near is None else f"{why} {_('%(n)s devices would do.') % {'n': near}}"

    @property
    def job(self) -> Job:
        given = self.cleaned_data
        values, parameter = _PRECISIONS[given["precision"]]
        model = Sizes(**{name: given[name] for name in self.model_fields})
        return Job(model, given["batch"], given["length"], values, parameter)

    @property
    def cluster(self) -> Cluster:
        given = self.cleaned_data
        return Cluster(
            given["devices"], given["memory_gb"] * 1e9, given["tflops"] * 1e12, given["link_gbps"] * 1e9 / 8,
            given["latency_us"] / 1e6, given["overhead_gb"] * 1e9,
        )  # fmt: skip


def values_of(example: Example) -> dict[str, Any]:
    """An example as the form's fields."""
    job, cluster = example
    precision = next(name for name, (size, _parameter) in _PRECISIONS.items() if size == job.bytes_a_value)
    return {
        **{name: getattr(job.model, name) for name in PlanForm.model_fields},
        "length": job.length, "batch": job.batch, "precision": precision, "devices": cluster.devices,
        **{name: f"{value:.6g}" for name, value in (
            ("memory_gb", cluster.memory / 1e9), ("overhead_gb", cluster.overhead / 1e9),
            ("tflops", cluster.flops / 1e12), ("link_gbps", cluster.bandwidth * 8 / 1e9),
            ("latency_us", cluster.latency * 1e6))},
    }  # fmt: skip


def form_of(query: Mapping[str, str]) -> PlanForm:
    """Filled in by the address; what it leaves out is as in the small example."""
    usual = values_of(USUAL)
    asked = {name: query[name] for name in usual if name in query}
    return PlanForm({**usual, **asked}) if asked else PlanForm(initial=usual)


def address(values: Mapping[str, Any], shown: int = 0) -> str:
    return "?" + urlencode({**values, **({"plan": shown} if shown else {})})


@dataclass(frozen=True, slots=True)
class Part:
    """Of a bar that is as wide as the larger of the memory and what the fullest of the plans needs."""

    name: str
    css: str
    gb: float
    begin: float  # per cent
    width: float


@dataclass(frozen=True, slots=True)
class Line:
    """A plan in the table."""

    row: Row
    rows: int
    bubble: float
    gb: float
    sent_gb: float
    tokens: float  # a second
    parts: list[Part]
    address: str
    is_tight: bool  # it fits, by less than plans have been wrong


@dataclass(frozen=True, slots=True)
class Plans:
    count: int
    fitting: int
    lines: list[Line]
    chosen: Line
    limit: float  # per cent of a bar: the memory of a device


def plans_of(form: PlanForm, shown: str) -> Plans:
    """The first few, and of them the one with the number `shown`, counted from 0. The form is valid."""
    job, cluster = form.job, form.cluster
    rows = plans(job, cluster)
    scale = max(cluster.memory, *(row.peak.total for row in rows[:SHOWN]))
    values = {name: form[name].value() for name in form.fields}
    lines = [_line(job, cluster, row, scale, address(values, at)) for at, row in enumerate(rows[:SHOWN])]
    at = int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 3 else 0
    return Plans(
        len(rows), sum(row.fits for row in rows), lines, lines[min(at, len(lines) - 1)], 100 * cluster.memory / scale
    )


def _line(job: Job, cluster: Cluster, row: Row, scale: float, link: str) -> Line:
    sent = row.volume.all_to_all + row.volume.stages + row.volume.gradients
    return Line(
        row, rows_of(job, row.plan), bubble(row.plan), row.peak.total / 1e9, sent / 1e9,
        job.batch * job.length / row.seconds.total, _parts(row, scale), link,
        row.fits and row.peak.total > _SAFE * cluster.memory,
    )  # fmt: skip


def _parts(row: Row, scale: float) -> list[Part]:
    held, begin, parts = row.peak, 0.0, []
    largest = (
        (_("activations"), held.activations)
        if held.activations >= held.transfers
        else (_("gradients being summed"), held.transfers)
    )
    named = ((_("weights"), held.weights), (_("gradients"), held.gradients), (_("optimiser"), held.optimiser), largest,
             (_("overhead"), held.overhead))  # fmt: skip
    for css, (name, size) in zip("abcde", named, strict=True):
        parts.append(Part(name, css, size / 1e9, round(begin, 2), round(100 * size / scale, 2)))
        begin += 100 * size / scale
    return parts
