# Two images from one file: `web` (also worker-app, beat and the preparation) and `worker` (models, NVIDIA GPU).
# docker-compose.yml builds both. Which process a container runs is the argument: a name from the Procfile.

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 VAR_DIR=/data
RUN useradd --system --uid 10001 --home-dir /data --create-home deepseek
WORKDIR /app
COPY requirements.txt requirements-nodeps.txt requirements-gpu.txt ./

# The web side never imports these (pyproject.toml, "The web side never loads a model"): 2 GB less.
FROM base AS web
RUN grep -vE '^(torch|triton|onnx|onnxruntime|onnxscript|onnx-ir|transformers|accelerate|gguf|sympy|networkx)==' \
      requirements.txt > web.txt && pip install --no-deps --only-binary :all: -r web.txt
COPY . .
RUN python -c "from deepseek_web.launch.prepare import compile_messages; compile_messages()"
USER deepseek
EXPOSE 8000
ENTRYPOINT ["python", "-m", "deepseek_web.launch", "process"]
CMD ["web"]

# onnxruntime-gpu takes the place of onnxruntime; its extras bring CUDA and cuDNN. Converting the chat model needs
# torch on the processor only.
FROM base AS worker
RUN pip install --only-binary :all: -r requirements.txt \
 && pip install --no-deps -r requirements-nodeps.txt \
 && pip uninstall --yes onnxruntime \
 && pip install --only-binary :all: "$(grep '^onnxruntime-gpu' requirements-gpu.txt | sed 's/==/[cuda,cudnn]==/')"
COPY . .
ENV LD_LIBRARY_PATH=/usr/local/lib/python3.11/site-packages/nvidia/cu13/lib:/usr/local/lib/python3.11/site-packages/nvidia/cudnn/lib
USER deepseek
ENTRYPOINT ["python", "-m", "deepseek_web.launch", "process"]
CMD ["worker"]
