"""Progress and logs as somebody without a terminal sees them."""

from pathlib import Path

import pytest

from deepseek_web.launch.screen import Logs, Stage, last_words

pytestmark = pytest.mark.unit


def test_progress_is_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage("Model")
    for fraction in (0.0, 0.01, 0.02, 0.11, 2.0):
        stage.update("working", fraction)
    stage.done()
    assert capsys.readouterr().out.splitlines() == [
        "Model: 0 %, working",
        "Model: 10 %, working",
        "Model: 100 %, working",
        "Model: done",
    ]


def test_logs_show_what_is_new_and_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "web.log").write_text("old\n")
    logs = Logs(tmp_path, ["web", "worker-app"])
    with (tmp_path / "web.log").open("a") as web:
        web.write("new\nhal")
        web.flush()
        logs.show()
        web.write("f\n")
    (tmp_path / "worker-app.log").write_bytes(b"\xff\n")
    logs.show()
    assert capsys.readouterr().out.splitlines() == ["web        | new", "web        | half", "worker-app | \ufffd"]


def test_rotated_log_is_read_from_its_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "web.log").write_text("a long line\n")
    logs = Logs(tmp_path, ["web"])
    (tmp_path / "web.log").write_text("new\n")
    logs.show()
    assert capsys.readouterr().out == "web | new\n"


def test_last_words_of_a_missing_log(tmp_path: Path) -> None:
    assert last_words(tmp_path / "none.log") == "  (none)"
