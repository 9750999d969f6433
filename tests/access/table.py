"""table.txt: which answer each of four people gets from every address and every command of the socket."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PEOPLE = ("anonymous", "stranger", "member", "admin")
TABLE = Path(__file__).with_name("table.txt")


@dataclass(frozen=True, slots=True)
class Row:
    """`answers` are in the order of PEOPLE."""

    method: str
    route: str
    answers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method:<7}{self.route:<64} {''.join(f'{answer:<11}' for answer in self.answers)}".rstrip()


def read(text: str) -> list[Row]:
    """Rows of a table; what follows a # is a remark."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [_row(words) for words in lines if words]


def rows_of(route: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of one route: its own, or those of the `…*` it falls under."""
    rows = list(rows)
    own = [row for row in rows if row.route == route]
    return own or [row for row in rows if row.route.endswith("*") and route.startswith(row.route[:-1])]


def _row(words: list[str]) -> Row:
    method, route, *answers = words
    if len(answers) != len(PEOPLE):
        raise ValueError(f"{route}: {len(answers)} answers for {len(PEOPLE)} people")
    return Row(method, route, tuple(answers))
