"""A small byte-level BPE tokenizer with Qwen's special tokens and chat format, trained here in a second.

Its text is generated from the words that policies are made of, so no corpus is needed; any other string still
round-trips, because every byte is a token of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clevrpolicy.ontology import ATTRIBUTES, KINDS
from harness.seeds import rng

SIZE = 1024
"""Tokens at most, special ones included; a text too small for that gives fewer."""

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

CHAT = """\
{%- if messages[0].role != 'system' -%}
<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif -%}
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}
<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'video' -%}
<|vision_start|><|video_pad|><|vision_end|>
{%- elif part.type == 'text' -%}
{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""
"""Qwen2.5-VL's chat format, as a Jinja template."""

_SENTENCES = (
    "system\nYou are a helpful assistant.\nuser\nassistant\n",
    "Policy {a}, section {n}. If there is a {k} in the image, go to section {m}; otherwise answer {x}.",
    "{n}.{m} Check whether the image contains at least {n} {c} objects made of {t}.",
    "Is there a {z} {s} to the left of the {k}? If so, follow step {m}, else follow step {n}.",
    "<think>\nThe image shows a {k} and a {z} {s}. The condition holds, so the policy says to go on to {m}.\n"
    "There is no {c} {s}; the condition fails, therefore the answer is {x}.\n</think>\n\\boxed{{{x}}}",
    "Reason step by step inside <think> and </think>, then give your final answer in \\boxed{{}}.",
    "According to policy {a}, what should the answer to this picture be? Reply with one word.",
    "You must follow the rules of the policy exactly: never guess, and decide each condition from the image.",
)


def train_tokenizer() -> Any:
    """A transformers tokenizer; the same on every call."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    # No normalizer, and no prefix space: decoding gives back the very string that was encoded.
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(_text(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=[token for token in SPECIAL if token not in ("<|im_end|>", "<|endoftext|>")],
        padding_side="left",
        model_max_length=32768,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT,
    )


def _text() -> Iterator[str]:
    """Sentences in the language of the ClevrPolicy domain, each attribute value and kind among them."""
    draw = rng(0, "tokenizer")
    letters = "ABCDEFGHIJ"
    for kind in KINDS:
        for sentence in _SENTENCES:
            yield sentence.format(
                a=draw.choice(letters),
                n=draw.randint(1, 40),
                m=draw.randint(1, 40),
                x=draw.choice(letters) + draw.choice(letters).lower(),
                k=kind,
                z=draw.choice(ATTRIBUTES["size"]),
                c=draw.choice(ATTRIBUTES["color"]),
                t=draw.choice(ATTRIBUTES["material"]),
                s=draw.choice(ATTRIBUTES["shape"]),
            )
