"""python -m tests.both [ARGS]: the fast tests and those in a browser at the same time; ARGS go to pytest.

The browser's wait most of the time, so both together end sooner than one after the other. What they say is printed
when the others are through. A file's tests stay in one process, in their order: several share what is dear to make, and
those of `make run` take turns with one installation. Files are begun in the order of tests/conftest.py, the long ones
first: by itself xdist begins those of few tests last, and one process would wait for the other.
"""

import subprocess
import sys
import tempfile

PYTEST = (sys.executable, "-m", "pytest", "--durations=25", "--durations-min=5")
SHARED = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
_PASSED = (0, 5)  # 5: no test was chosen


def main(arguments: list[str]) -> int:
    """1 unless both pass; what a signal has ended did not. Each half reads no more files than it has to."""
    names_files = any(argument.startswith("tests/") for argument in arguments)
    browsers, others = ([], []) if names_files else (["tests/e2e"], ["--ignore=tests/e2e"])
    with tempfile.TemporaryFile() as said:
        browser = subprocess.Popen(
            [*PYTEST, "-m", "not slow and e2e", *browsers, *arguments], stdout=said, stderr=subprocess.STDOUT
        )
        fast = subprocess.run([*PYTEST, "-m", "not slow and not e2e", *SHARED, *others, *arguments], check=False)
        codes = fast.returncode, browser.wait()
        said.seek(0)
        sys.stdout.buffer.write(said.read())
    return int(any(code not in _PASSED for code in codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
