"""Letters of three parts that have none in common, though the archives do."""

from pathlib import Path

import numpy as np
import pytest

from tests.workers.omniglot_archives import write_archives
from workers.data import omniglot
from workers.data.corpus import DataMissing


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_archives(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return tmp_path


def test_what_both_archives_have_is_only_trained_on(archives: Path) -> None:
    found = omniglot.load()
    assert [one.name for one in found.train] == ["Balinese", "Greek"]
    assert [one.name for one in found.validation] == ["Early_Aramaic"]
    assert [one.name for one in found.test] == ["Sanskrit", "Tagalog"]
    parts = [{number for one in part for number in one.numbers} for part in (found.train, found.validation, found.test)]
    assert [len(part) for part in parts] == [9, 4, 8] and len(set().union(*parts)) == 21


def test_pictures_are_small_and_have_ink_where_it_is_drawn(archives: Path) -> None:
    (aramaic,) = omniglot.load().validation
    assert aramaic.pictures.shape == (4, 20, 28, 28) and aramaic.pictures.dtype == np.uint8
    share = aramaic.pictures.mean() / 255
    assert 0.005 < share < 3 * 80 / 105**2 + 0.005


def test_what_is_missing_or_not_whole_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with pytest.raises(DataMissing, match=r"images_background_small1.zip is missing. It comes from github"):
        omniglot.load()
    write_archives(tmp_path, drawers=3)
    with pytest.raises(DataMissing, match="is not whole: each letter has 20 drawings"):
        omniglot.load()
