"""Is a GGUF file whole, and of an architecture that is known here?"""

from pathlib import Path

from .architectures import GGUF
from .refusal import Refused


def check(path: Path) -> None:
    """Raises Refused."""
    from gguf import GGUFReader

    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise Refused(f"{path.name} is no GGUF file. Copy or download it again.")
    size = path.stat().st_size
    try:
        reader = GGUFReader(path)
        ends = [int(tensor.data_offset) + int(tensor.n_bytes) for tensor in reader.tensors]
        fields = reader.fields
        architecture = str(fields["general.architecture"].contents())
    except Exception as error:  # numpy, struct and KeyError: the reader trusts its file
        raise Refused(f"{path.name} is damaged: {error}. Copy or download it again.") from error
    if not ends or max(ends) > size:
        raise Refused(f"{path.name} is damaged: it ends before its last tensor. Copy or download it again.")
    if architecture not in GGUF:
        raise Refused(f"{path.name} is of the architecture {architecture}; known are {', '.join(GGUF)}.")
    if "tokenizer.ggml.tokens" not in fields:
        raise Refused(f"{path.name} has no tokenizer. Convert the model again with its tokenizer.")
    if "tokenizer.chat_template" not in fields:
        raise Refused(f"{path.name} has no chat template. Convert an instruction-tuned model.")
