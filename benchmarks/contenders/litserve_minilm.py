"""LitServe with the same model, tokenizer, session and pooling, and its own batching.

python -m benchmarks.contenders.litserve_minilm ARTIFACT PORT MAX_BATCH_SIZE WORKERS THREADS
"""

import base64
import sys
from pathlib import Path
from typing import Any

import litserve

from contracts.messages import RevisionSpec
from workers.backends.encoder import OrtEncoder
from workers.pipelines.feature_extraction import TASK, FeatureExtraction

BATCH_TIMEOUT = 0.005


class Embed(litserve.LitAPI):
    def __init__(self, artifact: Path, threads: int, **options: Any) -> None:
        super().__init__(**options)
        self._artifact, self._threads = artifact, threads

    def setup(self, device: str) -> None:
        spec = RevisionSpec("m@1", "m", TASK, str(self._artifact), "")
        self._pipeline = FeatureExtraction(self._artifact, spec)
        self._lane = self._pipeline.lane(OrtEncoder(self._artifact / "model.onnx", threads=self._threads))

    def decode_request(self, request) -> Any:
        return self._pipeline._tokenizer.prepare({"texts": [request["input"]]})[0].payload

    def predict(self, x: Any) -> Any:
        if self.max_batch_size == 1:
            return self._lane.run([x])[0]
        return self._lane.run(x)

    def unbatch(self, output: Any) -> Any:
        return output

    def batch(self, inputs: Any) -> Any:
        return list(inputs)

    def encode_response(self, output) -> Any:
        return {"embedding": base64.b64encode(output.tobytes()).decode()}


def main() -> None:
    artifact, port, batch, workers, threads = Path(sys.argv[1]), *map(int, sys.argv[2:6])
    api = Embed(artifact, threads, max_batch_size=batch, batch_timeout=BATCH_TIMEOUT if batch > 1 else 0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=60)
    server.run(port=port, host="127.0.0.1", generate_client_file=False, log_level="error")


if __name__ == "__main__":
    main()
