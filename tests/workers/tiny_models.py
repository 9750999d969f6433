"""Tiny, randomly initialised models as transformers saves them."""

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

_LETTERS = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
_TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
_SIZES = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258,
}  # fmt: skip


def tokenizer(folder: Path, *, template: str | None = None, longest: int = 64) -> None:
    """Bytes, one token each."""
    tokens = Tokenizer(models.BPE(vocab={**_LETTERS, "<s>": 256, "</s>": 257, "<pad>": 258}, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    if template is None:
        tokens.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 256), ("</s>", 257)]
        )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, bos_token="<s>", eos_token="</s>", pad_token="<pad>", model_max_length=longest
    )
    fast.chat_template = template
    fast.save_pretrained(folder)


def language_model(folder: Path, name: str = "Llama") -> Path:
    config = getattr(transformers, f"{name}Config")(**_SIZES, num_key_value_heads=2, max_position_embeddings=512)
    torch.manual_seed(0)
    getattr(transformers, f"{name}ForCausalLM")(config).save_pretrained(folder)
    tokenizer(folder, template=_TEMPLATE, longest=512)
    return folder


def encoder(folder: Path, name: str = "Bert", *, labels: int = 0) -> Path:
    config = getattr(transformers, f"{name}Config")(**_SIZES, max_position_embeddings=66)
    if name in {"Roberta", "XLMRoberta", "MPNet"}:  # their positions begin behind the padding token's
        config.pad_token_id = 1
    if labels:
        config.num_labels = labels
    torch.manual_seed(0)
    getattr(transformers, name + ("ForSequenceClassification" if labels else "Model"))(config).save_pretrained(folder)
    tokenizer(folder)
    return folder


def towers(folder: Path, name: str = "CLIP") -> Path:
    """CLIP, ChineseCLIP (WordPiece, as BERT's) or Siglip."""
    text = {**_SIZES, "max_position_embeddings": 20, "projection_dim": 24, "projection_size": 32}
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
              "image_size": 32, "patch_size": 8, "projection_dim": 24}  # fmt: skip
    if name == "ChineseCLIP":
        text |= {"pad_token_id": 0, "type_vocab_size": 2}
    config = getattr(transformers, f"{name}Config")(text_config=text, vision_config=vision, projection_dim=24)
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}Model")(config)
    if name == "Siglip":
        model.logit_bias.data.fill_(-1.5)
    model.save_pretrained(folder)
    if name == "ChineseCLIP":
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz一只猫红色的狗"]
        (folder / "vocab.txt").write_text("\n".join([*words, *(f"##{one}" for one in words[5:31])]))
        transformers.BertTokenizer.from_pretrained(folder, model_max_length=20).save_pretrained(folder)
    else:
        tokenizer(folder, longest=20)
    (folder / "preprocessor_config.json").write_text('{"do_resize": true, "size": {"shortest_edge": 32}}')
    return folder
