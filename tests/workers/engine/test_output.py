"""When events are written, with the output thread running."""

from __future__ import annotations

from contracts.messages import Event, FinishReason, Outcome, StreamEvent
from tests.workers.tokenizers import byte_tokenizer
from workers.engine.detokenizer import Vocabulary
from workers.engine.output import OutputProcessor, TextStream, Update


class CountingSink:
    def __init__(self) -> None:
        self.writes: list[list[StreamEvent]] = []

    def write(self, events: list[StreamEvent]) -> set[str]:
        self.writes.append(events)
        return set()

    @property
    def token_ids(self) -> list[int]:
        deltas = [event.data for events in self.writes for event in events if event.event == Event.DELTA]
        return [token_id for data in deltas for token_id in data["token_ids"]]


def test_tokens_of_a_running_answer_are_written_together_and_the_end_at_once() -> None:
    sink = CountingSink()
    output = OutputProcessor(sink, lambda request_id, reason: None)
    stream = TextStream("r", Vocabulary(byte_tokenizer()), [])
    tokens = [64 + index % 20 for index in range(200)]
    output.start()
    for token_id in tokens:
        output.put([Update(stream, Event.DELTA, token_id=token_id)], urgent=False)
    output.put([Update(stream, Event.DONE, outcome=Outcome(FinishReason.LENGTH))])

    assert stream.future.result(10).completion_tokens == 200
    output.close()
    assert sink.token_ids == tokens
    assert len(sink.writes) < 100  # one a token before; two or three on a machine that is not busy
