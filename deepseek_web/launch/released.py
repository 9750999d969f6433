"""Models that come with the repository (artifacts/): small, ready to be served, each with a manifest of its own."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from deepseek_web.env import BASE_DIR

MANIFEST = "manifest.json"


def unpack(artifacts: Path) -> Iterator[tuple[Path, str, str]]:
    """Copies each to the folder that workers load from, unless it is there; (folder, name, title)."""
    for source in sorted(path.parent for path in (BASE_DIR / "artifacts").glob(f"*/{MANIFEST}")):
        manifest = (source / MANIFEST).read_bytes()
        said = json.loads(manifest)
        target = artifacts / f"{source.name}-{said.get('precision', 'model')}"
        if not (target / MANIFEST).exists() or (target / MANIFEST).read_bytes() != manifest:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        yield target, said["name"], said["title"]
