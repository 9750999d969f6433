"""The files of a source: where they may lie, which kinds are refused unseen, how large they may be."""

import json
from pathlib import Path
from typing import Any

from .refusal import Refused

# Loading one of these runs whatever code its author put into it.
_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}
_LIBRARIES = {".so", ".dll", ".dylib"}
_MOST_FILES = 2000
_LARGEST_JSON = 64 * 2**20  # bytes


def check_place(source: Path, roots: list[Path]) -> Path:
    """The source as an absolute path below one of the folders that models may be imported from."""
    path = source.resolve()
    if not any(path.is_relative_to(root.resolve()) and path != root.resolve() for root in roots):
        allowed = " or ".join(str(root) for root in roots)
        raise Refused(f"{source} is not below {allowed}. Copy it there, or add its folder to IMPORT_ROOTS.")
    if not path.exists():
        raise Refused(f"{source} does not exist.")
    return path


def list_files(source: Path, most_bytes: int) -> list[Path]:
    """Every file of the source; links, code, pickles and sizes over the limit are refused."""
    paths = sorted(source.rglob("*")) if source.is_dir() else [source]
    for path in paths:
        if path.is_symlink():
            raise Refused(f"{path.name} is a link. Copy the files themselves: cp -rL FROM TO.")
    files = [path for path in paths if path.is_file()]
    if len(files) > _MOST_FILES:
        raise Refused(f"The folder has {len(files)} files, more than {_MOST_FILES}. Import the model's folder only.")
    for path in files:
        _check_kind(path)
    total = sum(path.stat().st_size for path in files)
    if total > most_bytes:
        raise Refused(
            f"The files have {total / 1e9:.1f} GB, more than the {most_bytes / 1e9:.1f} GB allowed. "
            "Raise IMPORT_MAX_GB, or import a smaller model."
        )
    return files


def _check_kind(path: Path) -> None:
    if path.suffix.lower() in _PICKLES:
        raise Refused(
            f"{path.name} holds pickled weights, which can run code when they are read. Convert the model to "
            "safetensors (save_pretrained does) and remove this file."
        )
    if path.suffix.lower() in _LIBRARIES:
        raise Refused(f"{path.name} is a library of custom operators, which are not loaded here. Export without it.")


def read_json(path: Path) -> dict[str, Any]:
    """An object out of a file of the source."""
    if path.stat().st_size > _LARGEST_JSON:
        raise Refused(f"{path.name} is larger than {_LARGEST_JSON >> 20} MB. That is no configuration.")
    try:
        found = json.loads(path.read_text(encoding="utf8"))
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path.name} is damaged: {error}. Copy it again.") from error
    if not isinstance(found, dict):
        raise Refused(f"{path.name} is damaged: it holds no object. Copy it again.")
    return found


def neighbour(folder: Path, name: object) -> Path:
    """A file that another one names; it must lie in the same folder under a plain name."""
    if not isinstance(name, str) or Path(name).name != name or name in {"", ".", ".."} or "\\" in name:
        raise Refused(f"The model refers to {name!r}, outside its own folder. Save it with its files side by side.")
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise Refused(f"The model refers to {name}, which is missing or a link. Copy the whole folder.")
    return path
