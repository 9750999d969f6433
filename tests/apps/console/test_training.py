"""Training in the console: the form, the curves, the table beside them."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from apps.console.ranks import ranks
from apps.console.training import training
from apps.jobs.models import Job
from apps.jobs.streams import Details
from apps.registry.models import Model
from apps.serving.connection import client as redis_client
from contracts import names

RECIPE = {"name": "v1-sst2", "model": {"width": 64}, "options": {"steps": 200, "seed": 4}}


def point(at: int, **figures: float) -> dict:
    return {"step": at, "steps": 200, "loss": 2.0 - at / 200, "rate": 3.5, "seconds_left": 40, "figures": figures}


POINTS = [point(50), point(100, step=100, score=0.75, loss=1.2, range=0.5), point(150)]


def test_curves_stand_where_their_steps_are() -> None:
    drawn = training(Details(RECIPE, POINTS))
    assert drawn is not None
    assert (drawn.step, drawn.steps, drawn.best["score"]) == (150, 200, 0.75)
    loss, accuracy = drawn.charts
    assert [tick.label for tick in loss.times] == ["0", "100", "200"]
    steps, means, validation = loss.lines
    assert steps.path.startswith("M156.5 ") and steps.path.count("L") == 2
    assert means.last == pytest.approx((1.75 + 1.5 + 1.25) / 3)
    assert validation.path.startswith("M273.0 ")
    assert (accuracy.lines[0].last, accuracy.is_empty) == (75.0, False)
    assert drawn.rows == [POINTS[1]]


def test_there_is_no_curve_before_the_first_step_and_none_of_other_jobs() -> None:
    begun = training(Details(RECIPE, []))
    assert begun is not None
    assert (begun.charts, begun.rows, begun.step, begun.steps, begun.loss) == ([], [], 0, 200, None)
    assert training(Details()) is None


def running(administrator) -> Job:
    job = Job.objects.create(kind="train", title="Mood", created_by=administrator)
    redis_client().hset(names.job_key(str(job.pk)), "state", "running")
    earlier = {"stage": "training", "fraction": 0.7, **point(199)}
    told = [
        ("progress", {"stage": "estimating the memory", "fraction": 0.0, "recipe": RECIPE}),
        *(("progress", {"stage": "training", "fraction": 0.3, **one}) for one in POINTS),
    ]
    for event, data in [("progress", earlier), ("started", {"attempt": 2}), *told]:
        redis_client().xadd(names.job_stream_key(str(job.pk)), {"event": event, "data": json.dumps(data)})
    return job


def test_a_running_training_shows_its_curves_and_the_time_left(browser: Client, administrator) -> None:
    job = running(administrator)
    page = browser.get(reverse("console:job", args=[job.pk])).content.decode()
    for text in ("Training left", "40 s", "3.5 steps a second", "75 %", "Loss by step: train 1.5",
                 "The curves as a table", "1.2000", "model.width", "goes on from there"):  # fmt: skip
        assert text in page, text
    assert ">199<" not in page  # of an earlier attempt


def test_a_training_that_has_ended_shows_what_is_stored(browser: Client, administrator) -> None:
    job = Job.objects.create(
        kind="train", title="Mood", state="CANCELLED", reason="The job was cancelled.", created_by=administrator,
        details={"recipe": RECIPE, "points": POINTS},
    )  # fmt: skip
    page = browser.get(reverse("console:job", args=[job.pk])).content.decode()
    assert "75 %" in page
    assert "Training left" not in page
    assert "The job failed" not in page


LANGUAGE = {"name": "v3-shakespeare", "feed_forward": "moe", "options": {"steps": 200}}
RANKS = [
    {"rank": rank, "dp": 0, "pp": rank, "ep": 0, "step": 150, "loss": 1.25, "tokens": 6000.0, "busy": 0.91,
     "memory": 400 * 2**20, "load": {str(2 * rank): [0.5, 0.3, 0.2, 0.0], str(2 * rank + 1): [0.25] * 4}}
    for rank in (0, 1)
]  # fmt: skip


def test_a_mixture_is_told_in_bits_and_where_its_tokens_go() -> None:
    evaluated = point(100, step=100, score=-2.5, bits=2.5, loss=1.733, load_max=1.75)
    drawn = training(Details(LANGUAGE, [point(50), evaluated], RANKS))
    assert drawn is not None and drawn.ranks is not None and drawn.ranks.load is not None
    bits, heaviest = drawn.charts
    assert bits.lines[1].last == pytest.approx((1.75 + 1.5) / 2 / 0.693147, rel=1e-4)
    assert (bits.lines[2].last, heaviest.lines[0].last) == (2.5, 1.75)
    assert (drawn.ranks.tokens, drawn.ranks.memory) == (6000.0, 800 * 2**20)  # both stages see the same tokens
    load = drawn.ranks.load
    assert ([layer.name for layer in load.layers], load.experts, load.heaviest) == (["0", "1", "2", "3"], 4, 2.0)
    assert [cell.strength for cell in load.layers[0].cells] == [1.0, 0.6, 0.4, 0.0]


@pytest.mark.parametrize(
    ("paces", "slow"),
    [([30.0, 28.0, 31.0, 29.0], []), ([30.0, 12.0, 31.0, 29.0], [1]), ([30.0, 19.0], [1]), ([9.0], [])],
)
def test_a_process_that_all_others_wait_for_is_marked(paces: list[float], slow: list[int]) -> None:
    drawn = ranks([{**RANKS[0], "rank": rank, "pace": pace} for rank, pace in enumerate(paces)])
    assert drawn is not None
    assert [row["rank"] for row in drawn.rows if row["is_slow"]] == slow


def test_the_dense_twin_has_no_picture_of_experts() -> None:
    rows = [{**RANKS[0], "load": {}}]
    drawn = training(Details(LANGUAGE, [point(50, step=50, score=-2.5, bits=2.5, loss=1.7)], rows))
    assert drawn is not None and drawn.ranks is not None
    assert (len(drawn.charts), drawn.ranks.load) == (1, None)


def test_the_page_of_a_mesh_shows_each_process(browser: Client, administrator) -> None:
    evaluated = point(100, step=100, score=-2.5, bits=2.5, loss=1.733, load_max=1.75)
    job = Job.objects.create(
        kind="train", title="Plays", state="SUCCEEDED", created_by=administrator,
        details={"recipe": LANGUAGE, "points": [evaluated], "ranks": RANKS},
    )  # fmt: skip
    page = browser.get(reverse("console:job", args=[job.pk])).content.decode()
    for text in ("Fewest bits per character", "2.500", "Bits per character by step", "0 · 1 · 0", "6 K tokens a second",
                 "Load of the experts", "heaviest 2.00 × the even share", "layer 3: 25 %", "Cores busy"):  # fmt: skip
        assert text in page, text
    assert "accuracy" not in page.lower()


def test_a_mesh_is_chosen_on_the_form(browser: Client, db: None) -> None:
    mesh = {"dp": "2", "pp": "", "ep": "1", "micro_batches": "2"}
    wish = {"recipe": "v3.shakespeare", "name": "plays", "seed": "7", "precision": "auto", **mesh}
    browser.post(reverse("console:train_model"), wish)
    arguments = Job.objects.get().arguments
    assert arguments["mesh"] == {"dp": 2, "pp": 1, "ep": 1, "micro_batches": 2}
    assert arguments["precision"] == "fp32"


def test_train_starts_a_job_and_goes_to_it(browser: Client, db: None) -> None:
    wish = {"recipe": "v1.needle", "name": "needle", "title": "", "seed": "7", "precision": "fp32"}
    answer = browser.post(reverse("console:train_model"), wish)
    job = Job.objects.get()
    assert answer.url == reverse("console:job", args=[job.pk])
    assert (job.kind, job.arguments["recipe"], job.arguments["changes"]["seed"]) == ("train", "v1.needle", 7)
    assert (job.title, job.arguments["precision"]) == ("needle", "fp32")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": "v1.nothing"}, "Recipe"),
        ({"seed": "-1"}, "Seed"),
        ({"name": "no name"}, "Name"),
        ({"name": "chat"}, "is a model for text-generation"),
        ({"dp": "2"}, "Only mixtures of experts"),
        ({"recipe": "v3.shakespeare", "precision": "int8"}, "exported as fp32"),
        ({"recipe": "v3.shakespeare", "precision": "auto", "pp": "2"}, "as many micro-batches as stages"),
        ({"ep": "0"}, "Expert parts (ep)"),
    ],
)
def test_training_that_cannot_start_says_why(browser: Client, db: None, change: dict[str, str], said: str) -> None:
    Model.objects.create(name="chat", title="Chat", task="text-generation")
    wish = {"recipe": "v1.needle", "name": "needle", "seed": "7", "precision": "fp32", **change}
    assert said in browser.post(reverse("console:train_model"), wish, follow=True).content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize("person", ["member", "stranger"])
def test_nobody_else_may_train(person: str, db: None, request) -> None:
    client = Client()
    client.force_login(request.getfixturevalue(person))
    assert client.post(reverse("console:train_model"), {"recipe": "v1.needle"}).status_code == 404
    assert not Job.objects.exists()
