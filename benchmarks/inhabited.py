"""People and their things, for benchmarks of a whole installation: chats, pictures, readings, classifiers.

Everything is made with the services and commands that people and programs reach. The models are real and come with the
repository (artifacts/) or out of installed packages; the sentences and readings are made up.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from benchmarks import photos
from benchmarks.fresh import Clone
from benchmarks.installation import Installation
from benchmarks.site import python
from deepseek_web.env import BASE_DIR
from deepseek_web.launch import model
from tests.e2e.stack import Stack

CHAT, SENTIMENT, PICTURES, SERIES, TEACHING = model.NAME, "v1-sst2", "v2-photos", "v4-series", "teach-texts"
Place = Installation | Stack | Clone
ALL = (SENTIMENT, PICTURES, SERIES, TEACHING, CHAT)
LESSON = {
    "Praise": [
        "The parts came a day early and fit at once.", "Your colleague explained it twice and kept smiling.",
        "Best pump we have had in years.", "I would order here again without thinking.",
        "The new manual is a pleasure to read.",
    ],
    "Complaint": [
        "The seal leaks again after two weeks.", "Nobody has answered my three letters.",
        "The bill names a machine that we never had.", "It arrived with a broken lid.",
        "The hotline put me on hold for an hour.",
    ],
}  # fmt: skip
# Members of one team, each with a key and a session.
_PEOPLE = """
import json
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from apps.accounts.keys import create_api_key
from apps.accounts.models import Team, User
from apps.audit.services import record
Store = import_module(settings.SESSION_ENGINE).SessionStore
team = Team.objects.get_or_create(name="Works")[0]
made = []
for email in {emails}:
    user = User.objects.filter(email=email).first() or User.objects.create_user(email, {password!r})
    team.members.add(user)
    session = Store()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    made.append(dict(email=email, key=create_api_key(owner=user, name="benchmark")[1], session=session.session_key))
print("MADE " + json.dumps(made))
"""
_COLLECTION = """
from apps.search.models import Collection
print(Collection.objects.get(owner__email={email!r}, name={name!r}).pk)
"""

# Runs where Django does: a published classifier of each lesson in a file, each with examples of its own.
CLASSIFIERS = """
import json, pathlib
from apps.accounts.models import User
from apps.teach import classifiers, examples, teaching
from apps.teach.models import Classifier
owner = User.objects.get(email={email!r})
made = []
for number, lesson in enumerate(json.loads(pathlib.Path({lessons!r}).read_text())):
    one = classifiers.create(owner=owner, name=f"Topics {{number}}", reads="texts", labels=list(lesson))
    for label in one.labels.all():
        examples.add_texts(classifier=one, texts=lesson[label.name], label=label)
    version = teaching.teach(classifier=one, who=owner)
    teaching.wait(version=version)
    version.refresh_from_db()
    if version.state == "teaching":
        from apps.quotas.waiting import ended
        teaching.take_in(request_id=version.request_id, transcript=ended(version.request_id, 60))
        version.refresh_from_db()
    classifiers.publish(version=version, actor=owner)
    made.append(str(one.pk))
print("MADE " + json.dumps(made))
"""


@dataclass
class Tenant:
    """Somebody with a key and a session; `collection` and `classifier` are ids of what is theirs."""

    email: str
    key: str
    session: str
    collection: str = ""
    classifier: str = ""
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {"Authorization": f"Bearer {self.key}"}


def deploy(place: Place, names: Sequence[str], artifacts: Path, key: str) -> None:
    """Models of the repository, the one that teaches, the chat model; `artifacts` keeps what had to be made. Waits
    until they answer."""
    made = {TEACHING: _teaching, CHAT: _chat}
    for name in names:
        folder = made.get(name, functools.partial(_released, name))(artifacts)
        place.manage("register_model", "--artifact", str(folder), "--name", name, "--title", name)
    wait_ready(place.url, key, names)


def wait_ready(url: str, key: str, names: Sequence[str], seconds: float = 600) -> float:
    """Until these deployments answer; how long that took."""
    began = time.monotonic()
    for name in names:
        while (state := _state(url, key, name)) != "READY":
            if time.monotonic() - began > seconds:
                raise RuntimeError(f"{name} is not ready after {seconds:g} s: {state}")
            time.sleep(0.5)
    return time.monotonic() - began


def _state(url: str, key: str, name: str) -> str:
    """Or why it cannot be told."""
    try:
        found = requests.get(f"{url}/v1/models/{name}", headers={"Authorization": f"Bearer {key}"}, timeout=30)
    except requests.RequestException as error:
        return str(error)
    return str(found.json().get("state")) if found.status_code == 200 else found.text[:300]


def _released(name: str, artifacts: Path) -> Path:
    """A copy: workers write what they measure beside a model."""
    shutil.copytree(BASE_DIR / "artifacts" / name, artifacts / name, dirs_exist_ok=True)
    return artifacts / name


def _teaching(artifacts: Path) -> Path:
    folder = artifacts / TEACHING
    if not (folder / "manifest.json").exists():
        _run("workers.export.few_shot", str(artifacts), "--reads", "texts")
    return folder


def _chat(artifacts: Path) -> Path:
    """SmolLM2 as `make run` converts it."""
    said = _run("workers.export.chat_model", "--out", str(artifacts), "--progress", "none")
    return Path(said.strip().splitlines()[-1])


def _run(*module: str) -> str:
    """In a process of its own, which takes the libraries along that make models."""
    done = subprocess.run([sys.executable, "-m", *module], cwd=BASE_DIR, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module[0]}: {done.stderr[-2000:]}")
    return done.stdout


def make_people(place: Place, emails: Sequence[str], password: str) -> list[Tenant]:
    said = python(place, _PEOPLE.format(emails=list(emails), password=password))
    return [Tenant(**one) for one in json.loads(said.partition("MADE ")[2])]


def give_pictures(place: Place, tenant: Tenant, deployment: str = PICTURES) -> int:
    """The photos of scikit-image in a collection, as manage.py import_images puts them there; how many are found."""
    with tempfile.TemporaryDirectory() as folder:
        for name, picture in photos.load().items():
            picture.save(Path(folder) / name)
        given = ("--owner", tenant.email, "--collection", "Photos", "--model", deployment)
        place.manage("import_images", folder, *given)
        count = len({path.read_bytes() for path in Path(folder).iterdir()})  # what is there twice is taken once
        tenant.collection = python(place, _COLLECTION.format(email=tenant.email, name="Photos")).split()[-1]
        wait_for_pictures(place, tenant, count)
    return count


def wait_for_pictures(place: Place, tenant: Tenant, count: int, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while (found := found_pictures(place.url, tenant)) < count:
        if time.monotonic() > until:
            raise RuntimeError(f"{found} of {count} pictures are found after {seconds:g} s")
        time.sleep(1)


def found_pictures(url: str, tenant: Tenant) -> int:
    body = {"parts": [{"words": "a cat"}], "cut": -1, "limit": 100}
    answer = requests.post(
        f"{url}/api/v1/search/collections/{tenant.collection}/search", json=body, headers=tenant.headers, timeout=60
    )
    answer.raise_for_status()
    return len(answer.json()["data"])


def teach(place: Place, tenant: Tenant, folder: Path) -> None:
    """A published classifier of five examples a class."""
    lessons = folder / "lessons.json"
    lessons.write_text(json.dumps([LESSON]))
    said = python(place, CLASSIFIERS.format(email=tenant.email, lessons=str(lessons)))
    lessons.unlink()
    tenant.classifier = json.loads(said.partition("MADE ")[2])[0]


def talk(url: str, tenant: Tenant, text: str, *, tokens: int = 16, seconds: float = 120) -> dict[str, Any]:
    """One message of a new conversation and its stored answer. Raises when it fails or takes too long."""
    api, until = f"{url}/api/v1", time.monotonic() + seconds
    begin = {"model": CHAT, "parameters": {"max_tokens": tokens, "temperature": 0}}
    with requests.Session() as session:
        session.headers.update(tenant.headers)
        made = session.post(f"{api}/conversations", json=begin, timeout=60)
        made.raise_for_status()
        sent = session.post(f"{api}/conversations/{made.json()['id']}/messages", json={"text": text}, timeout=60)
        sent.raise_for_status()
        answer: dict[str, Any] = sent.json()["answer"]
        while answer["status"] == "waiting":
            if time.monotonic() > until:
                raise RuntimeError(f"no answer after {seconds:g} s")
            time.sleep(0.1)
            answer = session.get(f"{api}/messages/{answer['id']}", timeout=60).json()
    if answer["status"] != "done":
        raise RuntimeError(f"the answer is {answer['status']}: {answer}")
    return answer


def copy_artifacts(source: Path, target: Path) -> None:
    """So that what takes minutes to convert is converted once on a machine."""
    if source.exists():
        shutil.copytree(source, target, dirs_exist_ok=True)
