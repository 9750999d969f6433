"""onnxruntime-genai's Engine. python -m benchmarks.contenders.genai ARTIFACT THREADS

The artifact computes the logits of every position: the engine refuses graphs whose output layer is
pruned to the last one. On a CPU it batches statically, up to max_batch_size requests at a time.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime_genai as og

_MAX_BATCH = 16
_MAX_LENGTH = 1024


def main(artifact: Path, threads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = og.Engine(og.Model(str(_configure(artifact, Path(folder), threads))))
        for line in sys.stdin:
            print(json.dumps(_run(engine, json.loads(line))), flush=True)


def _configure(artifact: Path, folder: Path, threads: int) -> Path:
    """The artifact with the engine's settings: same threads, same context, batches as large as ours."""
    for path in artifact.iterdir():
        (folder / path.name).symlink_to(path.resolve())
    config = json.loads((artifact / "genai_config.json").read_text())
    config["engine"] = {"static_batching": {"max_batch_size": _MAX_BATCH}}
    config["model"]["decoder"]["session_options"]["intra_op_num_threads"] = threads
    config["search"]["max_length"] = _MAX_LENGTH
    (folder / "genai_config.json").unlink()
    (folder / "genai_config.json").write_text(json.dumps(config))
    shutil.copystat(artifact, folder)
    return folder


def _run(engine: Any, work: dict[str, Any]) -> dict[str, Any]:
    buffer = engine.create_event_buffer(4 * _MAX_BATCH)
    streams = list(zip(work["prompts"], work["arrivals"], strict=True))
    requests: list[Any] = []
    first: dict[int, float] = {}
    tokens, last = 0, 0.0
    started = time.perf_counter()
    while len(requests) < len(streams) or engine.has_pending_requests():
        while len(requests) < len(streams) and time.perf_counter() - started >= streams[len(requests)][1]:
            requests.append(_request(engine, streams[len(requests)][0], work["new_tokens"]))
        if not engine.has_pending_requests():
            time.sleep(0.0005)
            continue
        engine.run(buffer)
        now = time.perf_counter() - started
        for index in range(len(buffer)):
            event = buffer[index]
            if event.finish_reason == og.FinishReason.FAILED:
                raise RuntimeError("the engine failed a request")
            if event.token is not None:
                stream = next(number for number, request in enumerate(requests) if request is event.request)
                first.setdefault(stream, now - streams[stream][1])
                tokens, last = tokens + 1, now
    for request in requests:
        request.close()
    return {"tokens": tokens, "seconds": last, "first": [first[stream] for stream in range(len(streams))]}


def _request(engine: Any, prompt: list[int], new_tokens: int) -> Any:
    options = og.RequestOptions()
    options.set_max_session_tokens(len(prompt) + new_tokens)
    request = engine.create_request(options=options)
    turn = og.TurnOptions(request)
    turn.set_do_sample(False)
    turn.set_min_generated_tokens(new_tokens)  # end of sequence is masked until then
    turn.set_max_generated_tokens(new_tokens)
    request.begin_turn(np.asarray(prompt, np.int32), turn)
    return request


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
