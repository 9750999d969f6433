"""A process that reads spoken clips for worker-app (clips.py): what strangers send is decoded here and nowhere else.

It has a limit on memory and a clock for each clip, knows neither database nor network, and is replaced when it dies. A
line of JSON in, {path, folder}, a line out: {"seconds": …} or {"error": sentence}. It writes `clip` into the folder.
"""

import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from contracts import clips
from contracts.clips import BadClip


def read(path: Path, folder: Path) -> float:
    """Write the clip as it is kept; its seconds. Raises BadClip."""
    with path.open("rb") as file:
        content = file.read(clips.MOST_BYTES + 1)
    samples = clips.read(content)
    (folder / "clip").write_bytes(clips.written(samples))
    return len(samples) / clips.RATE


def main() -> None:
    memory, seconds = (int(value) for value in sys.argv[1:3])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        asked = json.loads(line)
        signal.alarm(seconds)  # nobody catches it: the process ends
        try:
            answer: dict[str, Any] = {"seconds": read(Path(asked["path"]), Path(asked["folder"]))}
        except BadClip as error:
            answer = {"error": str(error)}
        except MemoryError:
            answer = {"error": "The clip needs more memory than one clip may have. Send a shorter one."}
        signal.alarm(0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
