"""kill -9 of the worker while eight answers are written."""

import subprocess
import sys
import time
import urllib.request

import pytest

from benchmarks.recovery import Kill, run
from tests.e2e.stack import EMAIL, ROOT, Stack, environment

TOKENS = 120


def kill_during_streams(stack: Stack, model: str) -> Kill:
    return run(
        url=stack.url,
        key=stack.manage("create_api_key", EMAIL).strip(),
        redis_url=setting(stack, "REDIS_URL"),
        model=model,
        tokens=TOKENS,
        kill_after=1.5,
    )


def setting(stack: Stack, name: str) -> str:
    lines = (stack.var / "env").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))


def wait_until_deployed(stack: Stack, name: str) -> None:
    for _ in range(240):
        state = stack.python(
            "from apps.serving.queries import deployment_states as s;"
            f"print([d.state for d in s() if d.name == '{name}'])"
        )
        if "READY" in state:
            return
        time.sleep(0.5)
    raise AssertionError(f"{name} did not become ready: {state}")


def check(kill: Kill) -> None:
    for stream in kill.disturbed:
        assert stream.text == stream.streamed_text
        assert stream.seqs_without_gap
        assert (stream.completion_tokens, len(stream.token_ids)) == (TOKENS, TOKENS)
        assert stream.finish_reason == "length"
    assert all(stream.attempts == 2 for stream in kill.disturbed), "the kill came after the end"


def test_every_stream_survives_the_kill_of_its_worker(stack: Stack) -> None:
    wait_until_deployed(stack, "smollm2-135m")
    check(kill_during_streams(stack, "smollm2-135m"))
    wait_until_deployed(stack, "smollm2-135m")
    urllib.request.urlopen(f"{stack.url}/readyz", timeout=5)


@pytest.mark.slow
def test_fp32_answers_equal_an_undisturbed_greedy_run(stack: Stack) -> None:
    command = [sys.executable, "-m", "workers.export.chat_model", "--out", str(stack.var / "artifacts")]
    done = subprocess.run(
        [*command, "--precision", "fp32", "--progress", "json"],
        cwd=ROOT,
        env=environment(stack.var),
        capture_output=True,
        text=True,
        check=True,
    )
    artifact = done.stdout.strip().splitlines()[-1]
    stack.manage("register_model", "--artifact", artifact, "--name", "fp32", "--title", "SmolLM2 fp32")
    try:
        wait_until_deployed(stack, "fp32")
        kill = kill_during_streams(stack, "fp32")
        check(kill)
        assert [stream.token_ids for stream in kill.disturbed] == [stream.token_ids for stream in kill.undisturbed]
        assert [stream.text for stream in kill.disturbed] == [stream.text for stream in kill.undisturbed]
    finally:
        stack.python(
            "from apps.serving.models import Deployment; from apps.serving.deployments import delete_deployment;"
            "delete_deployment(actor=None, deployment=Deployment.objects.get(name='fp32'))"
        )
