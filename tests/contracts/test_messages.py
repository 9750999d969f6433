"""What crosses the border arrives as it left, and nonsense is named."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages import (
    InferenceRequest,
    JobRequest,
    Outcome,
    RevisionReport,
    RevisionSpec,
    Route,
    RouteRevision,
    SamplingParams,
    WorkerLease,
)

MESSAGES = [
    InferenceRequest("r", "d", "text-generation", {"messages": [{"role": "user", "content": "你好 🙂 \u2028"}]}),
    InferenceRequest("r", "d", "t", {}, {"temperature": 0.5}, deadline=5.0, resume_token_ids=[1, 2], attempt=3),
    Outcome("stop", prompt_tokens=3, duration=0.25),
    RevisionSpec("d@1", "d", "t", "/artifact", "0" * 64),
    WorkerLease("w", "host", 7, 1.5, {"d@1": RevisionReport("FAILED", "no memory", counters={"steps": 2.0})}),
    Route("d", "D", "t", 1.5, revisions=[RouteRevision("d@1", 1, 90), RouteRevision("d@2", 2, 10)]),
    JobRequest("j", "import", {"source": "/models/x"}),
    SamplingParams(stop=["\n"], seed=-1),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_round_trip(message):
    assert type(message).from_json(message.to_json()) == message


def test_no_deadline_survives():
    request = InferenceRequest("r", "d", "t", {})
    assert InferenceRequest.from_json(request.to_json()).deadline == math.inf


def test_unknown_field_is_refused():
    with pytest.raises(ValueError, match="Outcome does not know speed"):
        Outcome.from_dict({"finish_reason": "stop", "speed": 1})


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"temperature": math.nan}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.01}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"min_p": 2}, "min_p"),
        ({"frequency_penalty": 2.5}, "frequency_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"logprobs": 21}, "logprobs"),
        ({"seed": 2**63}, "seed"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": [""]}, "stop"),
    ],
)
def test_bad_sampling_parameter_is_named(values, field):
    with pytest.raises(ValueError, match=f"^{field}: "):
        SamplingParams(**values)


@given(st.floats(0, 2), st.floats(0.0001, 1), st.integers(1, 10**6))
def test_good_sampling_parameters_are_kept(temperature, top_p, max_tokens):
    params = SamplingParams(temperature=temperature, top_p=top_p, max_tokens=max_tokens)
    assert (params.temperature, params.top_p, params.max_tokens) == (temperature, top_p, max_tokens)
