"""Spoken clips: read, played, taught with, asked about, refused, and gone with their bytes."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Membership, Team, User
from apps.files import storing
from apps.quotas.models import LedgerEntry
from apps.teach import classifiers, examples, reading, teaching
from apps.teach.models import Classifier, Example, Version
from contracts import clips
from tests.apps.teach.conftest import LessonWorker, label_of, teach, tone

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]
LOW, HIGH = (300.0, 330.0, 360.0), (1500.0, 1600.0, 1700.0)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(name: str, *arguments: Any) -> str:
    return reverse(f"teach:{name}", args=arguments)


def file(content: bytes, name: str = "clip.wav") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, "audio/wav")


@pytest.fixture
def spoken(owner: User, teacher: LessonWorker) -> Classifier:
    """Low and high tones, not taught yet."""
    made = classifiers.create(owner=owner, name="Tones", reads="clips", labels=["low", "high"])
    for name, pitches in (("low", LOW), ("high", HIGH)):
        sent = [file(tone(pitch), f"{name} {pitch:.0f}.wav") for pitch in pitches]
        examples.add_files(classifier=made, files=sent, label=label_of(made, name))
    return made


def held() -> int:
    return sum(LedgerEntry.objects.filter(source__startswith="example:").values_list("stored_bytes", flat=True))


def test_clips_are_kept_as_models_hear_them_and_go_with_their_bytes(
    spoken: Classifier, teacher: LessonWorker, owner: User, media: Path
) -> None:
    rows = list(spoken.examples.all())
    assert [row.state for row in rows] == [Example.State.READY] * 6
    assert not list((media / "teach/incoming").iterdir())  # what came is not kept
    kept = storing.read(rows[0].clip)
    assert len(kept) == 44 + 2 * round(0.3 * clips.RATE)
    wanted = 9000 / 32768 * np.sin(2 * np.pi * LOW[0] * np.arange(2400) / clips.RATE)
    np.testing.assert_allclose(clips.read(kept)[200:-200], wanted[200:-200], atol=0.01)
    assert held() == 6 * len(kept)
    version = teach(spoken, teacher)
    assert version.state == Version.State.READY and version.report is not None and version.report["right"] == 6
    spoken.refresh_from_db()
    asked = [base64.b64encode(tone(pitch)).decode() for pitch in (310.0, 1550.0)]
    answers = teaching.answers(version=version, inputs=asked, who=owner)
    assert [answer["shares"][0][0] for answer in answers] == ["low", "high"]
    examples.delete(example=rows[0])
    assert held() == 5 * len(kept)
    classifiers.delete(classifier=Classifier.objects.get(pk=spoken.pk), actor=owner)
    assert held() == 0 and not [one for one in (media / "teach").rglob("*") if one.is_file()]


def test_what_cannot_be_read_says_what_to_do(spoken: Classifier, owner: User, settings: Any) -> None:
    sent = {
        "empty.wav": (b"", "The file is empty. Record the clip again."),
        "picture.wav": (b"\x89PNG\r\n", "The file is no WAV file. Record the clip here, or save it as WAV (PCM)."),
        "short.wav": (tone(300)[:-50], "The file is damaged: it ends too early. Send it again."),
        "silent.wav": (tone(0), "The clip is silent. Check the microphone and record it again."),
        "long.wav": (tone(300, 6),
                     "The clip is 6.0 seconds long; at most 5 are read. Cut it to the word."),
        "large.wav": (b"0" * (settings.TEACH_MAX_FILE_MB * 2**20 + 1), "The file is larger than 10 MB."),
    }  # fmt: skip
    examples.add_files(classifier=spoken, files=[file(content, name) for name, (content, _said) in sent.items()],
                       label=label_of(spoken, "low"))  # fmt: skip
    failed = spoken.examples.filter(state=Example.State.FAILED)
    assert dict(failed.values_list("name", "error")) == {name: said for name, (_content, said) in sent.items()}
    page = browser(owner).get(url("page", spoken.pk)).content.decode()
    for _content, said in sent.values():
        assert said in page


def test_a_clip_that_is_fine_is_read_after_one_that_is_not(spoken: Classifier) -> None:
    sent = [file(b"RIFF", "a.wav"), file(tone(320), "b.wav")]
    examples.add_files(classifier=spoken, files=sent, label=label_of(spoken, "low"))
    assert spoken.examples.get(name="a.wav").error and spoken.examples.get(name="b.wav").clip


def test_a_clip_at_which_readers_end_is_given_up(spoken: Classifier) -> None:
    row = Example.objects.create(classifier=spoken, name="a.wav", state=Example.State.READING, attempts=3,
                                 claimed_at="2020-01-01T00:00Z")  # fmt: skip
    reading.sweep()
    row.refresh_from_db()
    assert (row.state, row.error) == (
        Example.State.FAILED, "The program that reads clips ended several times at this file.",
    )  # fmt: skip


def test_a_classifier_of_texts_takes_no_files(classifier: Classifier, owner: User) -> None:
    page = browser(owner).post(url("add_clips"), {"classifier": classifier.pk, "files": file(tone(300))}, follow=True)
    assert "this classifier reads no pictures and no clips" in page.content.decode()
    assert classifier.examples.count() == 6


def test_clips_without_a_class_are_asked_about_when_they_are_read(spoken: Classifier, teacher: LessonWorker) -> None:
    teach(spoken, teacher)
    examples.add_files(classifier=spoken, files=[file(tone(900), "x.wav")], label=None)
    teacher.drain()
    row = spoken.examples.get(name="x.wav")
    assert row.doubt is not None and row.guess in ("low", "high")


# -- pages -----------------------------------------------------------------------------------------


def test_from_names_to_an_answer(owner: User, teacher: LessonWorker) -> None:
    client = browser(owner)
    client.post(url("create"), {"name": "Tones", "reads": "clips", "labels": "low\nhigh"})
    made = Classifier.objects.get()
    for name, pitches in (("low", LOW), ("high", HIGH)):
        body = {"classifier": made.pk, "label": label_of(made, name).pk, "files": [file(tone(one)) for one in pitches]}
        page = client.post(url("add_clips"), body, follow=True).content.decode()
        assert "3 clips are read" in page
    row = made.examples.all()[0]
    assert f'<audio class="clip" controls preload="none" src="{url("clip", row.pk)}"' in page
    assert "Record an example of low" in page and "data-record-strings" in page
    client.post(url("teach", made.pk))
    teacher.drain()
    answer = client.post(url("ask"), {"classifier": made.pk, "clip": file(tone(1550))}).content.decode()
    assert answer.index("high") < answer.index("low") and url("add_clips") in answer
    nothing = client.post(url("ask"), {"classifier": made.pk})
    assert nothing.status_code == 422 and "Record a clip or choose one first." in nothing.content.decode()
    large = client.post(url("ask"), {"classifier": made.pk, "clip": file(b"0" * (clips.MOST_BYTES + 1))})
    assert large.status_code == 422 and "is larger than 10 MB" in large.content.decode()


def test_clips_are_played_to_those_who_may_see_them(
    spoken: Classifier, owner: User, member: User, stranger: User
) -> None:
    team = Team.objects.create(name="Ours")
    for one in (owner, member):
        Membership.objects.create(team=team, user=one)
    classifiers.change(classifier=spoken, name=spoken.name, team=team)
    row = spoken.examples.all()[0]
    answers = [browser(who).get(url("clip", row.pk)) for who in (owner, member, stranger)]
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert answers[0].content == storing.read(row.clip) == answers[1].content
    assert answers[0]["Content-Type"] == "audio/wav"
    assert answers[0]["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert Client().get(url("clip", row.pk)).status_code == 302
    assert browser(owner).get(url("picture", row.pk)).status_code == 404  # it has none
    sent = [browser(who).post(url("add_clips"), {"classifier": spoken.pk, "files": file(tone(300))})
            for who in (member, stranger)]  # fmt: skip
    assert [answer.status_code for answer in sent] == [404, 404] and spoken.examples.count() == 6
    page = browser(member).get(url("page", spoken.pk)).content.decode()
    assert url("clip", row.pk) in page and "Record an example of" not in page


@pytest.mark.parametrize(
    ("asked", "status", "said", "length"),
    [
        ("bytes=0-1", 206, "bytes 0-1/4844", 2), ("bytes=44-", 206, "bytes 44-4843/4844", 4800),
        ("bytes=4800-99999", 206, "bytes 4800-4843/4844", 44), ("bytes=4844-", 416, "bytes */4844", 0),
        ("bytes=9-3", 416, "bytes */4844", 0), ("bytes=-5", 200, "", 4844), ("bytes=0-1,4-5", 200, "", 4844),
        ("lines=1-2", 200, "", 4844),
    ],
)  # fmt: skip
def test_players_are_given_the_part_that_they_ask_for(
    spoken: Classifier, owner: User, asked: str, status: int, said: str, length: int
) -> None:
    row = spoken.examples.all()[0]
    answer = browser(owner).get(url("clip", row.pk), headers={"Range": asked})
    assert (answer.status_code, answer.get("Content-Range", ""), len(answer.content)) == (status, said, length)
