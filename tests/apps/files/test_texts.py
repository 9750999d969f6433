"""Files as people have them: tables of all kinds, encodings, rows without a text, nonsense."""

import json
import tracemalloc

import pytest

from apps.files.texts import MAX_COLUMNS, MAX_ROW_CHARS, UnreadableFile, read

pytestmark = pytest.mark.unit


def test_a_text_file_has_a_text_a_line_and_names_no_empty_ones() -> None:
    texts = read(b"first\n\n  second  \r\n", name="a.TXT")
    assert texts.rows == [(1, "first", ""), (3, "second", "")]
    assert texts.skipped == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_whatever_splits_it(delimiter: str) -> None:
    lines = [["id", "text", "label"], ["1", '"good, or; so"', "pos"], ["2", "bad", "neg"], ["3", "", "neg"]]
    texts = read("\n".join(delimiter.join(line) for line in lines).encode(), name="a.csv")
    assert (texts.column, texts.label_column) == ("text", "label")
    assert texts.rows == [(1, "good, or; so", "pos"), (2, "bad", "neg")]
    assert texts.skipped == [(3, "empty")]


def test_a_text_may_hold_lines_of_its_own() -> None:
    assert read(b'text\n"one\ntwo"\nthree\n', name="a.csv").rows == [(1, "one\ntwo", ""), (2, "three", "")]


def test_the_column_with_the_longest_values_is_the_text() -> None:
    texts = read(b"id,words\n1,a whole sentence\n2,another one\n", name="a.csv")
    assert texts.column == "words"


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UnreadableFile, match=r"no column body.*title"):
        read(b"title,rating\nfine,5\n", name="a.csv", column="body")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_chinese_is_read_in_every_usual_encoding(encoding: str) -> None:
    texts = read("文本,标签\n很好,正\n".encode(encoding), name="a.csv")
    assert (texts.column, texts.label_column, texts.rows) == ("文本", "标签", [(1, "很好", "正")])


def test_objects_a_line() -> None:
    content = b'{"text": "one", "label": 1}\n\n{"text": null}\n"bare"\n'
    texts = read(content, name="a.jsonl")
    assert texts.rows == [(1, "one", "1"), (3, "bare", "")]
    assert texts.skipped == [(2, "not a text")]


@pytest.mark.parametrize(
    ("content", "name", "part"),
    [
        (b"", "a.txt", "no text"),
        (b"text\n", "a.csv", "no text|no columns"),
        (b"{broken", "a.jsonl", "Line 1 is not JSON"),
        (b"[" * 100_000, "a.jsonl", "Line 1 is not JSON"),
        (b"\xff\xfe\x00", "a.txt", "UTF-8"),
        (b"PK\x03\x04\x81\xff\xff", "a.csv", "UTF-8|no text"),
        (b"text", "a.xlsx", ".csv"),
        (b"a,b\n", "a.csv", "no text|no columns"),
    ],
)
def test_what_is_no_file_of_texts_is_refused_with_a_sentence(content: bytes, name: str, part: str) -> None:
    with pytest.raises(UnreadableFile, match=part):
        read(content, name=name)


def test_too_many_rows_are_refused() -> None:
    assert len(read(b"a\n" * 3, name="a.txt", most=3).rows) == 3
    for name, content in (
        ("a.txt", b"a\n" * 4),
        ("a.csv", b"text\n" + b"a\n" * 4),
        ("a.jsonl", b'{"text": "a"}\n' * 4),
    ):
        with pytest.raises(UnreadableFile, match="more than 3 rows"):
            read(content, name=name, most=3)


WIDE = "more than 1,000 columns"
LONG = "A row has more than 2,000,000 characters"
_N = 60_000


@pytest.mark.parametrize(
    ("content", "name", "part"),
    [
        (",".join(f"c{n}" for n in range(_N)) + "\n" + "a,\n" * 40, "a.csv", WIDE),
        ("text\n" + "a," * _N + "\n", "a.csv", WIDE),
        ("text\n" + 'ab,"\n",' * 700_000, "a.csv", LONG),
        (json.dumps({f"c{n}": "" for n in range(_N)}), "a.jsonl", WIDE),
        ("\n".join(json.dumps({f"c{n}": ""}) for n in range(_N)), "a.jsonl", WIDE),
        ("[" + "{}," * 700_000 + "{}]", "a.jsonl", LONG),
        ("x" * (MAX_ROW_CHARS + 1), "a.txt", LONG),
    ],
)
def test_many_columns_and_long_rows_are_refused_before_they_fill_memory(content: str, name: str, part: str) -> None:
    data = content.encode()
    tracemalloc.start()
    with pytest.raises(UnreadableFile, match=part):
        read(data, name=name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20


def test_cells_that_are_no_texts_are_not_kept() -> None:
    content = "\n".join(["text" + ",x" * (MAX_COLUMNS - 1), *["a" + ",bc" * (MAX_COLUMNS - 1)] * 200]).encode()
    tracemalloc.start()
    assert len(read(content, name="a.csv").rows) == 200
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * len(content)  # as objects they are 20 times that


def test_a_text_with_a_nul_is_skipped() -> None:
    assert read(b"good\nb\x00d\n", name="a.txt").skipped == [(2, "contains a NUL character")]
