"""Public series are read as their makers say, and their absence is said."""

import json
import wave

import numpy as np
import pytest

from workers.data import cmapss, fsdd, nab, tinyshakespeare
from workers.data.corpus import DataMissing, data_dir


@pytest.mark.parametrize(("load", "name"), [
    (nab.load, "nab/labels/combined_windows.json"), (cmapss.train, "cmapss/train_FD001.txt"),
    (cmapss.test, "cmapss/RUL_FD001.txt"), (fsdd.load, "fsdd/recordings"),
    (tinyshakespeare.load, "text/tinyshakespeare.txt"),
])  # fmt: skip
def test_what_is_absent_is_named(tmp_path, monkeypatch, load, name):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with pytest.raises(DataMissing, match="DATA_DIR") as found:
        load()

    assert name in str(found.value)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return tmp_path


def test_nab_windows_are_rows(folder):
    (folder / "nab/labels").mkdir(parents=True)
    (folder / "nab/data/a").mkdir(parents=True)
    rows = [f"2014-04-01 00:{minute:02}:00,{minute}.5" for minute in range(40)]
    (folder / "nab/data/a/b.csv").write_text("timestamp,value\n" + "\n".join(rows) + "\n")
    window = ["2014-04-01 00:10:00.000000", "2014-04-01 00:12:00.000000"]
    (folder / "nab/labels/combined_windows.json").write_text(json.dumps({"a/b.csv": [window]}))

    (found,) = nab.load()
    (beginning,) = nab.beginnings()

    assert (found.name, found.windows, found.probation) == ("a/b.csv", ((10, 12),), 6)
    assert np.flatnonzero(found.is_anomaly).tolist() == [10, 11, 12]
    assert (found.times[1] - found.times[0], found.values[3]) == (60.0, 3.5)
    assert (beginning.group, beginning.values[:, 0].tolist()) == ("a", [0.5, 1.5, 2.5, 3.5, 4.5, 5.5])


def test_cmapss_counts_the_cycles_that_are_left(folder):
    (folder / "cmapss").mkdir()
    rows = [
        f"{engine} {cycle} 0 0 100 " + " ".join(str(100 * engine + sensor) for sensor in range(1, 22))
        for engine, cycles in ((1, 40), (2, 3)) for cycle in range(1, cycles + 1)
    ]  # fmt: skip
    for part in ("train", "test"):
        (folder / f"cmapss/{part}_FD001.txt").write_text("\n".join(rows) + "\n")
    (folder / "cmapss/RUL_FD001.txt").write_text("12\n50\n")

    first, _ = cmapss.train()
    stopped, other = cmapss.test()

    assert first.left.tolist() == list(range(39, -1, -1))
    assert first.fails_soon.sum() == 31
    assert first.values[0].tolist() == [100.0 + sensor for sensor in cmapss.SENSORS]
    assert (stopped.left[-1], other.left.tolist()) == (12, [52, 51, 50])


def test_each_engine_is_judged_once_and_never_by_what_learned_from_it():
    engines = [cmapss.Engine(number, np.zeros((1, 14), np.float32), np.zeros(1, int)) for number in range(10)]
    parts = cmapss.folds(engines, 3)

    assert sorted(one.number for _, judged in parts for one in judged) == list(range(10))
    for learned, judged in parts:
        assert not {one.number for one in learned} & {one.number for one in judged}
        assert len(learned) + len(judged) == 10


def test_digits_are_split_by_the_number_of_the_recording(folder):
    (folder / "fsdd/recordings").mkdir(parents=True)
    for name in ("7_theo_4", "7_theo_5", "0_lucas_49"):
        with wave.open(str(folder / f"fsdd/recordings/{name}.wav"), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
            file.writeframes(np.array([0, 16384, -32768], "<i2").tobytes())

    train, test = fsdd.load()

    assert [(one.name, one.label, one.group) for one in test] == [("7_theo_4", 7, "theo")]
    assert [one.name for one in train] == ["0_lucas_49", "7_theo_5"]
    assert test[0].values.tolist() == [[0.0], [0.5], [-1.0]]


def test_the_last_tenth_of_the_plays_is_held_back(folder):
    (folder / "text").mkdir()
    (folder / "text/tinyshakespeare.txt").write_text("ab c" * 25)
    found = tinyshakespeare.load()

    assert found.alphabet == " abc"
    assert [len(part) for part in (found.train, found.validation, found.test)] == [90, 5, 5]
    assert "".join(found.alphabet[place] for place in found.test) == "cab c"


@pytest.mark.skipif(not (data_dir() / "nab").exists(), reason="DATA_DIR has no nab")
def test_nab_has_its_58_files():
    files = nab.load()

    assert len(files) == 58
    assert sum(len(one.windows) for one in files) == 116
    assert sum(len(one.values) for one in files) == 365_558


@pytest.mark.skipif(not (data_dir() / "cmapss").exists(), reason="DATA_DIR has no cmapss")
def test_fd001_has_its_200_engines():
    train, test = cmapss.train(), cmapss.test()

    assert (len(train), sum(len(one.values) for one in train)) == (100, 20_631)
    assert (len(test), sum(len(one.values) for one in test)) == (100, 13_096)


@pytest.mark.skipif(not (data_dir() / "fsdd").exists(), reason="DATA_DIR has no fsdd")
def test_fsdd_has_its_3000_recordings():
    train, test = fsdd.load()

    assert (len(train), len(test)) == (2700, 300)
    assert {one.group for one in train} == set(fsdd.SPEAKERS)
