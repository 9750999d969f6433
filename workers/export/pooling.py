"""How the vectors of the tokens become one, as sentence-transformers writes it down."""

import json
from pathlib import Path
from typing import Any

from .source import ExportError


def pooling(source: Path) -> dict[str, Any]:
    """`pooling` and `normalize` as sentence-transformers wrote them down; mean and normalised otherwise."""
    modules = source / "modules.json"
    kinds = [entry["type"].rpartition(".")[2] for entry in json.loads(modules.read_text())] if modules.exists() else []
    if unknown := set(kinds) - {"Transformer", "Pooling", "Normalize"}:
        raise ExportError(f"modules.json names {', '.join(sorted(unknown))}, which is not served here.")
    path = source / "1_Pooling" / "config.json"
    chosen = json.loads(path.read_text()) if path.exists() else {"pooling_mode_mean_tokens": True}
    known = {"mean": "mean_tokens", "cls": "cls_token", "last_token": "lasttoken"}
    modes = [name for name, key in known.items() if chosen.get(f"pooling_mode_{key}")]
    if len(modes) != 1:
        raise ExportError("1_Pooling/config.json asks for a pooling other than mean, cls or last token.")
    return {"pooling": modes[0], "normalize": "Normalize" in kinds or not kinds}
