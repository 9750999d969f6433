"""The job that makes an artifact of a model that somebody brought.

Arguments: source, name, title, task, precision, roots (folders), most_bytes, store (s3://bucket/prefix, or empty for
the folder beside). Its result is {artifact, digest}.
Run by worker-train; torch is loaded by the steps, each a process of its own.
"""

import hashlib
import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from contracts.messages import JobRequest
from workers.artifacts.bucket import ArtifactError
from workers.artifacts.store import Store, store_at
from workers.export.imported import Importer, Wish
from workers.export.source import ExportError
from workers.jobs.report import JobError, Report, main
from workers.sources.kind import ModelSource, inspect
from workers.sources.refusal import Refused


def run(request: JobRequest, folder: Path, report: Report) -> dict[str, Any]:
    """The artifact's folder, a sibling of `folder`. Raises JobError."""
    wanted = request.arguments
    report.progress("checking the files", 0.01)
    try:
        source = inspect(
            Path(wanted["source"]), [Path(root) for root in wanted["roots"]], wanted["most_bytes"], wanted["task"]
        )
        print(f"{source.path.name}: {source.kind}, {source.task}, {len(source.files)} files", flush=True)
        _check_space(source, folder)
        wish = Wish(wanted["name"], wanted["title"], wanted["precision"])
        importer = Importer(source, wish, folder, report.progress, lambda text: print(text, end="", flush=True))
        heard = partial(report.share, "uploading", 0.98, 1.0)
        return _make(importer, store_at(wanted.get("store", ""), folder.parent, heard))
    except (Refused, ExportError, ArtifactError) as error:
        raise JobError(str(error)) from error


def _make(importer: Importer, store: Store) -> dict[str, Any]:
    provenance = importer.provenance()
    if made := _made_before(store, provenance["recipe"]):
        print("The same content was imported before; its artifact is used again.", flush=True)
        return made
    digest = importer.run(provenance)
    name = f"{importer.wish.name}-{digest[:16]}"
    store.put(importer.artifact, name)
    return {"artifact": name, "digest": digest}


def _made_before(store: Store, recipe: str) -> dict[str, Any] | None:
    """Measurements differ in the last digit between two runs, so equal content is known by its recipe."""
    for name, raw in store.manifests():
        try:
            manifest = json.loads(raw)
        except ValueError:
            continue
        if manifest.get("source", {}).get("recipe") == recipe:
            return {"artifact": name, "digest": hashlib.sha256(raw).hexdigest()}
    return None


def _check_space(source: ModelSource, folder: Path) -> None:
    """A GGUF file grows to fp32 on its way; four times the source is what the steps need at most."""
    needed = 4 * sum(file.stat().st_size for file in source.files) * (4 if source.kind == "gguf" else 1)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise JobError(f"The disk of the artifacts has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed.")


if __name__ == "__main__":
    sys.exit(main(run))
