"""How much of the engine's own speed arrives in a browser: tokens/s through everything, over the engine alone.

    python -m benchmarks.websocket_share --url http://127.0.0.1:8000 --email E --password P

needs a running installation (`make run`) and its VAR_DIR in the environment. "Through everything" is what a tab
does: a POST of the form, the broker, the worker, a Redis Stream, the hub, a websocket. "Alone" is the same
artifact in a process of its own with the same prompts, measured in turn with it. Merges
`websocket_share_of_engine_8` into benchmarks/results/chat_engine.json.
"""

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx2 as httpx
import websockets

from benchmarks.environment import commit, environment

RESULTS = Path(__file__).parent / "results" / "chat_engine.json"
STREAMS = 8
TOKENS = 160
PROMPT = "Write a very long story about a lighthouse keeper, day by day, for {} days. Never stop writing."


def prompts() -> list[str]:
    return [PROMPT.format(100 + place) for place in range(STREAMS)]


async def sign_in(client: httpx.AsyncClient, email: str, password: str) -> None:
    await client.get("/accounts/login/")
    form = {"login": email, "password": password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    answer = await client.post("/accounts/login/", data=form)
    assert answer.status_code == 302, "the e-mail and password were not taken"


async def one_stream(client: httpx.AsyncClient, socket_url: str, prompt: str) -> int:
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    form = {
        "messages": json.dumps([{"role": "user", "content": prompt}]),
        "temperature": "0",
        "repetition_penalty": "1.1",
        "max_tokens": str(TOKENS),
        "csrfmiddlewaretoken": client.cookies["csrftoken"],
    }
    origin = str(client.base_url)
    async with websockets.connect(socket_url, additional_headers={"Cookie": cookies}, origin=origin) as socket:
        page = (await client.post("/chat/temporary/send/", data=form, headers={"HX-Request": "true"})).text
        found = re.search(r'data-request-id="([0-9a-f]+)"', page)
        assert found, page[:300]
        await socket.send(json.dumps({"command": "subscribe", "request_id": found[1], "after": 0}))
        async for frame in socket:
            for _, event, data in json.loads(frame).get("entries", []):
                if event == "done":
                    return int(data["completion_tokens"])
                assert event != "error", data
    raise AssertionError("the socket closed before the end")


async def through_everything(url: str, email: str, password: str, rounds: int, alone: subprocess.Popen[str]) -> dict:
    socket_url = url.replace("http", "ws", 1) + "/ws/streams/"
    figures: dict[str, list[float]] = {"websocket": [], "engine": []}
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await sign_in(client, email, password)
        for turn in range(rounds + 1):
            started = time.perf_counter()
            counts = await asyncio.gather(*(one_stream(client, socket_url, prompt) for prompt in prompts()))
            websocket = sum(counts) / (time.perf_counter() - started)
            await asyncio.sleep(1)
            engine, tokens = await asyncio.to_thread(ask_alone, alone)
            await asyncio.sleep(1)
            print(
                f"round {turn}: through everything {websocket:.0f}, engine alone {engine:.0f} tokens/s",
                sum(counts),
                tokens,
            )
            if turn:  # the first warms both up
                figures["websocket"].append(websocket)
                figures["engine"].append(engine)
    return figures


def ask_alone(process: subprocess.Popen[str]) -> tuple[float, int]:
    assert process.stdin and process.stdout
    process.stdin.write("go\n")
    process.stdin.flush()
    rate, tokens = process.stdout.readline().split()
    return float(rate), int(tokens)


def engine_alone(artifact: Path, spec_json: str) -> None:
    """Child process: one round for every line on standard input."""
    from contracts.messages import InferenceRequest, RevisionSpec
    from workers.engine.output import ListSink
    from workers.pipelines.text_generation import load_engine

    engine = load_engine(artifact, RevisionSpec.from_json(spec_json), ListSink())
    engine.start()
    params = {"temperature": 0, "repetition_penalty": 1.1, "max_tokens": TOKENS}
    for turn, _ in enumerate(sys.stdin):
        started = time.perf_counter()
        futures = [
            engine.submit(
                InferenceRequest(
                    request_id=f"{turn}-{place}",
                    deployment="alone",
                    task="text-generation",
                    inputs={"messages": [{"role": "user", "content": prompt}]},
                    sampling_params=params,
                    tenant="1",
                    arrival_time=time.time(),
                )
            )
            for place, prompt in enumerate(prompts())
        ]
        tokens = sum(future.result().completion_tokens for future in futures)
        print(tokens / (time.perf_counter() - started), tokens, flush=True)
    engine.close()


def deployed_spec() -> str:
    import redis

    from contracts import names
    from deepseek_web.env import env, load_env_file

    load_env_file()
    rows = redis.Redis.from_url(env("REDIS_URL")).hgetall(names.REVISIONS_KEY)
    return next(iter(rows.values())).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--email")
    parser.add_argument("--password")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        engine_alone(Path(json.loads(options.alone)["artifact"]), options.alone)
        return
    command = [sys.executable, "-m", "benchmarks.websocket_share", "--alone", deployed_spec()]
    alone = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        figures = asyncio.run(through_everything(options.url, options.email, options.password, options.rounds, alone))
    finally:
        assert alone.stdin
        alone.stdin.close()
        alone.wait(30)
    share = statistics.median(w / e for w, e in zip(figures["websocket"], figures["engine"], strict=True))
    print(f"websocket_share_of_engine_8 {share:.3f}")
    merge(share, figures, options.rounds)


def merge(share: float, figures: dict[str, list[float]], rounds: int) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"summary": {}, "details": {}}
    results["summary"]["websocket_share_of_engine_8"] = round(share, 3)
    results["details"]["websocket_share"] = {
        "streams": STREAMS,
        "max_tokens": TOKENS,
        "rounds": rounds,
        "tokens_per_s": {name: [round(value, 1) for value in values] for name, values in figures.items()},
        "environment": environment(("onnxruntime", "redis", "celery", "channels", "uvicorn")),
        "commit": commit(),
        "command": "python -m benchmarks.websocket_share",
    }
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
