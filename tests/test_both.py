"""`make test` passes only when both halves do."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# In pytest's place: what is chosen by -m decides how it ends.
STAND_IN = """
import os, sys
end = {ends}["and e2e" in " ".join(sys.argv)]
if end < 0:
    os.kill(os.getpid(), -end)
print("said", end)
sys.exit(end)
"""


@pytest.mark.parametrize(
    ("fast", "browser", "code"), [(0, 0, 0), (0, 5, 0), (5, 0, 0), (1, 0, 1), (0, 1, 1), (0, -9, 1), (-9, 0, 1)]
)
def test_both_halves_must_pass(fast: int, browser: int, code: int) -> None:
    stand_in = STAND_IN.format(ends=(fast, browser))
    run = f"""
import sys
from tests import both
both.PYTEST = (sys.executable, "-c", {stand_in!r})
sys.exit(both.main([]))
"""
    done = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert browser < 0 or f"said {browser}" in done.stdout
