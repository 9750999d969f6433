"""What the person who typed `make run` sees: stages with progress, then the logs of all processes."""

import sys
from collections.abc import Iterable
from pathlib import Path

COLOURS = ("36", "32", "35", "33", "34")
BAR = 24


class Stage:
    """One line that fills up on a terminal; a line for each tenth elsewhere."""

    def __init__(self, title: str) -> None:
        self.title, self.shown = title, ""

    def update(self, what: str, fraction: float) -> None:
        fraction = min(max(fraction, 0.0), 1.0)
        if sys.stdout.isatty():
            bar = ("#" * round(fraction * BAR)).ljust(BAR, ".")
            say(f"\r\033[K{self.title} [{bar}] {fraction:4.0%} {what}", end="")
        elif (line := f"{self.title}: {int(fraction * 10) * 10} %, {what}") != self.shown:
            self.shown = line
            say(line)

    def done(self) -> None:
        if sys.stdout.isatty():
            say("\r\033[K", end="")
        say(f"{self.title}: done")


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)


class Logs:
    """Prints what is appended to log files, each line with the name of its process."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.names = list(names)
        self.paths = {name: folder / f"{name}.log" for name in self.names}
        self.positions = {name: size(path) for name, path in self.paths.items()}
        self.rest = dict.fromkeys(self.names, b"")
        self.width = max(map(len, self.names), default=0)

    def show(self) -> None:
        """Print what is new since the last call."""
        for number, name in enumerate(self.names):
            for line in self.read(name):
                say(f"{self.prefix(number, name)} {line}")

    def read(self, name: str) -> list[str]:
        path, position = self.paths[name], self.positions[name]
        if size(path) < position:  # rotated
            position = 0
        if size(path) == position:
            return []
        with path.open("rb") as file:
            file.seek(position)
            text = self.rest[name] + file.read()
            self.positions[name] = file.tell()
        *lines, self.rest[name] = text.split(b"\n")
        return [line.decode("utf8", errors="replace") for line in lines]

    def prefix(self, number: int, name: str) -> str:
        text = f"{name:<{self.width}} |"
        return f"\033[{COLOURS[number % len(COLOURS)]}m{text}\033[0m" if sys.stdout.isatty() else text


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def last_words(log: Path, lines: int = 12) -> str:
    try:
        text = log.read_text(encoding="utf8", errors="replace")
    except OSError:
        return "  (none)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
