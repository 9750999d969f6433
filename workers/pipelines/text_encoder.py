"""Texts into an encoder: tokens, limits, padded batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from contracts.messages import ErrorType
from workers.backends.base import BackendError
from workers.backends.encoder import EncoderBackend, Feeds
from workers.engine.encoder import Prepared
from workers.engine.intake import Refused

from .pooling import Vectors

TokenIds = list[int]
Finish = Callable[[Vectors, NDArray[np.int64]], list[Any]]  # output and lengths of a batch to results
_KNOWN = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}


class TextTokenizer:
    """The artifact's fast tokenizer. Thread-safe; the work is done in Rust without Python's lock.

    A text longer than `max_length` tokens is refused with both counts, unless the request says
    `truncate`: then its beginning is kept, special tokens included.
    """

    def __init__(self, artifact: Path, manifest: dict[str, Any], max_length: int) -> None:
        path = str(artifact / manifest.get("tokenizer", "tokenizer.json"))
        try:
            self._whole, self._cut = Tokenizer.from_file(path), Tokenizer.from_file(path)
        except Exception as error:  # the Rust side raises plain Exception
            raise BackendError(f"The tokenizer of {artifact.name} could not be read: {error}") from error
        self.pad_id = int((self._whole.padding or {}).get("pad_id", manifest.get("pad_id", 0)))
        self.max_length = max_length
        self.vocab_size = self._whole.get_vocab_size()
        for tokenizer in (self._whole, self._cut):
            tokenizer.no_padding()
        self._whole.no_truncation()
        self._cut.enable_truncation(max_length)

    def prepare(self, inputs: dict[str, Any]) -> list[Prepared]:
        """Items for {"texts": [str]} or {"token_ids": [[int]]}. Raises Refused."""
        if "token_ids" in inputs:
            rows = [self._checked(ids, index) for index, ids in enumerate(inputs["token_ids"])]
        else:
            rows = self._encoded(inputs.get("texts"), cut=bool(inputs.get("truncate")))
        if inputs.get("truncate"):
            rows = [ids[: self.max_length] for ids in rows]
        for index, ids in enumerate(rows):
            self._check_length(len(ids), index)
        return [Prepared(ids, len(ids), len(ids)) for ids in rows]

    def _encoded(self, texts: Any, *, cut: bool) -> list[TokenIds]:
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise Refused(ErrorType.INVALID_REQUEST, "texts: must be a list of strings")
        if len(texts) == 1:
            return [self.encode(texts[0], cut=cut).ids]
        tokenizer = self._cut if cut else self._whole
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]

    def encode(self, text: str, *, cut: bool) -> Encoding:
        """With `cut` only the beginning that the model reads."""
        return (self._cut if cut else self._whole).encode(text)

    def _checked(self, ids: Any, index: int) -> TokenIds:
        known = isinstance(ids, list) and all(type(one) is int and 0 <= one < self.vocab_size for one in ids)
        if not known or not ids:
            message = f"Input {index} is not a list of this model's token ids (0 to {self.vocab_size - 1})."
            raise Refused(ErrorType.INVALID_REQUEST, message, index=index)
        return list(ids)

    def _check_length(self, tokens: int, index: int) -> None:
        if tokens > self.max_length:
            raise Refused(
                ErrorType.CONTEXT_LENGTH_EXCEEDED,
                f"Input {index} has {tokens} tokens; this model reads at most {self.max_length}. "
                "Shorten it, or send truncate: true to have its beginning read.",
                prompt_tokens=tokens,
                context_length=self.max_length,
                index=index,
            )


class TextLane:
    """Pads a batch to its longest text, runs it, and gives each row to `finish`."""

    def __init__(self, backend: EncoderBackend, pad_id: int, finish: Finish) -> None:
        if unknown := set(backend.input_types) - _KNOWN:
            raise BackendError(f"The graph wants inputs unknown here: {', '.join(sorted(unknown))}")
        self._backend = backend
        self._pad_id = pad_id
        self._finish = finish

    def run(self, payloads: Sequence[TokenIds]) -> list[Any]:
        lengths = np.array([len(ids) for ids in payloads], np.int64)
        return self._finish(self._backend.run(self.feeds(payloads)), lengths)

    def pin(self) -> None:
        self._backend.pin()

    def close(self) -> None:
        self._backend.close()

    def feeds(self, payloads: Sequence[TokenIds]) -> Feeds:
        """What the graph is given for these texts."""
        lengths = np.array([len(ids) for ids in payloads], np.int64)
        shape = len(payloads), int(lengths.max())
        ids = np.full(shape, self._pad_id, np.int64)
        for row, tokens in zip(ids, payloads, strict=True):
            row[: len(tokens)] = tokens
        places = np.arange(shape[1])
        arrays = {
            "input_ids": ids,
            "attention_mask": (places < lengths[:, None]),
            "token_type_ids": np.zeros(shape, np.int64),
            "position_ids": np.broadcast_to(places, shape),
        }
        return {name: np.ascontiguousarray(arrays[name], kind) for name, kind in self._backend.input_types.items()}
