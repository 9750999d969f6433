"""The architectures whose import is tested; any other is refused before it is loaded."""

# Built by onnxruntime-genai, served by workers/backends/ort.py.
GENERATION = (
    "LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "MistralForCausalLM",
    "GemmaForCausalLM", "SmolLM3ForCausalLM", "GraniteForCausalLM",
)  # fmt: skip
GGUF = ("llama", "qwen2", "qwen3")
# Exported by torch.onnx (workers/export/encoder.py): model types, and the heads that have a task.
ENCODERS = ("bert", "distilbert", "roberta", "xlm-roberta", "electra", "mpnet")
# A tower for texts and one for pictures, of one space.
TOWERS = ("CLIPModel", "ChineseCLIPModel", "SiglipModel")
HEADS = {"ForSequenceClassification": "text-classification", "Model": "feature-extraction",
         "ForMaskedLM": "feature-extraction", "ForPreTraining": "feature-extraction"}  # fmt: skip


def task_of(config: dict[str, object]) -> str:
    """Hugging Face's task for what `config.json` says; empty when it is not known here."""
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    if name in GENERATION:
        return "text-generation"
    if name in TOWERS:
        return "zero-shot-image-classification"
    if config.get("model_type") in ENCODERS:
        return next((task for head, task in HEADS.items() if name.endswith(head)), "")
    return ""
