"""Artifacts of a bucket on this machine's disk: fetched once, compared, kept while they are loaded, bounded."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.buckets import environment
from workers.artifacts.bucket import ArtifactError, Bucket, Unreachable
from workers.artifacts.cache import Cache, cache, hold

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[3]
FILES = {"model.onnx": b"m" * 3000, "tokenizer.json": b"{}"}


@pytest.fixture
def disk(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 10_000)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hidden(disk: Cache) -> list[str]:
    return sorted(path.name for path in disk.root.iterdir() if path.name.startswith((".partial", ".removed")))


def test_a_folder_stays_where_it_is(tmp_path: Path) -> None:
    held = hold(str(tmp_path), "0" * 64)
    held.release()
    assert held.folder == tmp_path


def test_an_artifact_is_fetched_once_and_told_of(bucket, disk) -> None:
    address, digest = bucket.add("tiny-1", FILES)
    told: list[float] = []
    held = disk.hold(address, digest, told.append)
    assert held.folder == disk.root / digest
    assert {name: body for name, body in contents(held.folder).items() if name != "manifest.json"} == FILES
    assert (told == sorted(told), told[-1], hidden(disk)) == (True, 1.0, [])
    bucket.client.delete_object(Bucket=bucket.name, Key="models/tiny-1/model.onnx")
    assert disk.hold(address, digest, told.append).folder == held.folder


def test_a_damaged_file_is_fetched_again(bucket, disk, monkeypatch) -> None:
    address, digest = bucket.add("tiny-1", FILES)
    whole, tries = Bucket.download, []

    def download(self, name, path, heard) -> None:
        whole(self, name, path, heard)
        tries.append(name)
        if len(tries) == 1:
            path.write_bytes(path.read_bytes()[:-1])

    monkeypatch.setattr(Bucket, "download", download)
    held = disk.hold(address, digest, lambda fraction: None)
    assert (tries.count("model.onnx"), contents(held.folder)["model.onnx"]) == (2, FILES["model.onnx"])


@pytest.mark.parametrize("body", [b"x" * 3000, b"m" * 2999])
def test_an_object_that_is_another_is_refused_and_may_be_replaced(bucket, disk, body) -> None:
    address, digest = bucket.add("tiny-1", FILES)
    bucket.put("tiny-1/model.onnx", body)
    with pytest.raises(ArtifactError, match=r"tiny-1/model\.onnx is not the file that the manifest lists"):
        disk.hold(address, digest, lambda fraction: None)
    assert not (disk.root / digest).exists()
    bucket.put("tiny-1/model.onnx", FILES["model.onnx"])
    assert disk.hold(address, digest, lambda fraction: None).folder.exists()


def test_another_manifest_is_refused(bucket, disk) -> None:
    address, _digest = bucket.add("tiny-1", FILES)
    with pytest.raises(ArtifactError, match="not the one that was registered"):
        disk.hold(address, "1" * 64, lambda fraction: None)


def test_a_file_outside_is_refused(bucket, disk) -> None:
    address, digest = bucket.add("tiny-1", {"../../evil": b"evil"})
    with pytest.raises(ArtifactError, match="lies outside"):
        disk.hold(address, digest, lambda fraction: None)
    assert not (disk.root.parent / "evil").exists()


def test_an_artifact_that_is_gone_is_named(bucket, disk) -> None:
    with pytest.raises(ArtifactError, match=r"models/gone/manifest\.json is not there") as refused:
        disk.hold(f"{bucket.address}/gone", "1" * 64, lambda fraction: None)
    assert not isinstance(refused.value, Unreachable)


def test_a_store_that_does_not_answer_is_worth_another_try(bucket, disk, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="cannot be reached"):
        disk.hold(f"{bucket.address}/tiny-1", "1" * 64, lambda fraction: None)


def test_what_came_whole_before_an_interruption_is_not_fetched_again(bucket, disk, monkeypatch) -> None:
    address, digest = bucket.add("tiny-1", FILES)
    partial = disk.root / f".partial-{digest}"
    partial.mkdir(parents=True)
    (partial / "model.onnx").write_bytes(FILES["model.onnx"])
    (partial / "tokenizer.json.0aF3").write_bytes(b"{")  # how a killed download leaves it
    fetched, whole = [], Bucket.download
    monkeypatch.setattr(Bucket, "download", lambda self, name, *rest: (fetched.append(name), whole(self, name, *rest)))
    held = disk.hold(address, digest, lambda fraction: None)
    assert (fetched, sorted(contents(held.folder))) == (
        ["tokenizer.json"],
        ["manifest.json", "model.onnx", "tokenizer.json"],
    )


def test_two_that_want_the_same_fetch_it_once(bucket, disk, monkeypatch) -> None:
    address, digest = bucket.add("tiny-1", FILES)
    fetched, whole = [], Bucket.download
    monkeypatch.setattr(Bucket, "download", lambda self, name, *rest: (fetched.append(name), whole(self, name, *rest)))
    held = []
    threads = [
        threading.Thread(target=lambda: held.append(disk.hold(address, digest, lambda fraction: None)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), sorted(fetched)) == (4, ["model.onnx", "tokenizer.json"])


def test_room_is_made_of_what_was_not_used_for_the_longest(bucket, disk) -> None:
    artifacts = [bucket.add(name, {"model.onnx": name.encode() * 4000}) for name in "abcd"]
    silent = lambda fraction: None  # noqa: E731
    a, b = [disk.hold(*artifact, silent) for artifact in artifacts[:2]]
    a.release()
    c = disk.hold(*artifacts[2], silent)
    assert [one.folder.exists() for one in (a, b, c)] == [False, True, True]
    with pytest.raises(ArtifactError, match="Raise ARTIFACT_CACHE_GB"):
        disk.hold(*artifacts[3], silent)
    c.release()
    d = disk.hold(*artifacts[3], silent)
    assert [one.folder.exists() for one in (a, b, c, d)] == [False, True, False, True]
    assert hidden(disk) == []


def test_a_process_that_is_killed_lets_go(bucket, disk) -> None:
    first, second = (bucket.add(name, {"model.onnx": name.encode() * 8000}) for name in "ab")
    code = (
        "import sys; from pathlib import Path; from workers.artifacts.cache import Cache\n"
        "held = Cache(Path(sys.argv[1]), 10_000).hold(*sys.argv[2:], lambda fraction: None)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(disk.root), *first], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), **environment()},
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(ArtifactError, match="are loaded"):
        disk.hold(*second, lambda fraction: None)
    process.kill()
    process.wait()
    assert disk.hold(*second, lambda fraction: None).folder.exists()
    assert not (disk.root / first[1]).exists()


def test_the_environment_says_where_and_how_much(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    assert cache() == Cache(tmp_path / "artifact-cache", 100 * 10**9)
    monkeypatch.setenv("ARTIFACT_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("ARTIFACT_CACHE_GB", "0.5")
    assert cache() == Cache(tmp_path / "elsewhere", 500_000_000)
