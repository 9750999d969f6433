"""python -m tests.e2e.shell: management commands and code for one installation, a line of JSON each.

One process for all of them: Django takes seconds to be imported, on a busy machine many.
"""

import io
import json
import sys
import traceback
from contextlib import redirect_stdout

import django
from django.core.management import call_command
from django.db import connections


def answer(asked: dict) -> dict[str, str]:
    """What it prints, and why it failed."""
    said, error = io.StringIO(), ""
    with redirect_stdout(said):
        try:
            if "code" in asked:
                exec(asked["code"], {})
            else:
                call_command(*asked["command"])
        except Exception:  # noqa: BLE001  whoever asked raises it
            error = traceback.format_exc()
    connections.close_all()  # a server may be another the next time
    return {"said": said.getvalue(), "error": error}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever else is printed is no answer
    django.setup()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
