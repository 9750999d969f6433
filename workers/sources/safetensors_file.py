"""Is a safetensors file whole? The format: github.com/huggingface/safetensors, README, "Format"."""

import json
import struct
from math import prod
from pathlib import Path
from typing import Any

from .refusal import Refused

_LARGEST_HEADER = 100 * 2**20  # the format's own limit
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
}  # fmt: skip


def check(path: Path) -> None:
    """Raises Refused when the header, or what it says of the data, does not fit the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, _LARGEST_HEADER):
            raise _damaged(path, "its header is cut off")
        raw = file.read(length)
    try:
        header = json.loads(raw)
        header.pop("__metadata__", None)
        spans = sorted(_span(entry) for entry in header.values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"its header cannot be read ({error})") from error
    end = 0
    for begin, until in spans:
        if begin != end or until < begin:
            raise _damaged(path, "its tensors overlap or leave gaps")
        end = until
    if end != size - 8 - length:
        raise _damaged(path, f"{size - 8 - length} bytes of data where the header promises {end}")


def _span(entry: dict[str, Any]) -> tuple[int, int]:
    begin, end = entry["data_offsets"]
    if (end - begin) * 8 != prod(entry["shape"]) * _BITS[entry["dtype"]]:
        raise ValueError("a tensor has another size than its shape")
    return begin, end


def _damaged(path: Path, why: str) -> Refused:
    return Refused(f"{path.name} is damaged or no safetensors file: {why}. Copy or download it again.")
