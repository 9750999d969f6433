"""What a training says, and to whom."""

import json

import pytest

from workers.training.progress import Said, speaker

STEPS = [
    Said(1, 3, 0.9, 2.0, 61.0),
    Said(2, 3, 0.8, 2.0, 30.0, {"step": 2, "score": 0.75}),
    Said(3, 3, 0.7, 2.0, 0.0),
]


def said(kind: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    say = speaker(kind)
    for step in STEPS:
        say(step)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_none_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert said("none", capsys) == ("", "")


def test_a_log_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said("tty", capsys)
    assert out == ""
    assert err.splitlines() == [
        "1/3  loss 0.9000  2.00/s  1:01 left",
        "2/3  loss 0.8000  2.00/s  0:30 left  score 0.7500",
        "3/3  loss 0.7000  2.00/s  0:00 left",
    ]


def test_a_terminal_gets_one_line_until_something_was_evaluated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    _, err = said("tty", capsys)
    assert [line.strip() for line in err.split("\r")] == [
        "",
        "1/3  loss 0.9000  2.00/s  1:01 left",
        "2/3  loss 0.8000  2.00/s  0:30 left  score 0.7500",
        "3/3  loss 0.7000  2.00/s  0:00 left",
    ]
    assert err.count("\n") == 1


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said("json", capsys)
    assert [json.loads(line)["step"] for line in out.splitlines()] == [1, 2, 3]
    assert err == ""
