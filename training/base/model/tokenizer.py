"""A small byte-level BPE tokenizer with Qwen's special tokens and chat format, trained here in a second.

What a policy's text repeats word for word (the fixed pieces of its templates, a condition's number, an
attribute's value) is one token each, which halves the length of a prompt. Any other string still
round-trips, because every byte is a token of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from clevrpolicy import skills
from clevrpolicy.dataset import instances
from clevrpolicy.policy import policies, reasoning, wording
from clevrpolicy.scene.ontology import ATTRIBUTES
from harness.parsing import FORMAT

SIZE = 768
"""Tokens that BPE may learn at most, bytes and special ones included."""

OFTEN = 20
"""How often the corpus repeats the syllables of names, so that BPE learns them first."""

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

SYSTEM = "You are a helpful assistant."

CHAT = (
    """\
{%- if messages[0].role != 'system' -%}
<|im_start|>system
"""
    + SYSTEM
    + """<|im_end|>
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
)
"""Qwen2.5-VL's chat format, as a Jinja template."""

CORPUS = """\
system user assistant
Policy Case Condition scene object objects condition response picture tool image number color size shape
material a word of words section to the in is an and if not with for
you must may call only use result rule version profile
One two three first last, second; which: what (when) where how many? "text" 0 1 2 3 4 5 6 7 8 9 10 11 12
"""
"""Words besides those of the templates."""

DEEPEST, CASES = 4, 64
"""Layers of conditions whose numbers are one token each, and how many numbers of cases are."""

MARK = "…"
"""Where a template's text varies."""

TEMPLATES = (
    *(
        " " + re.sub(r"<image:\{\w+\}>|\{\w*\}", MARK, sentence)
        for sentence in (
            *(*wording.TESTS, *wording.ROUTES, *wording.GO, *wording.GIVE),
            *(wording.BY_PICTURE, wording.SCENE, wording.NARROWED),
            *(wording.ACCUMULATE, wording.ALONE, wording.REPLACES),
        )
    ),
    wording.HEAD.format(name=MARK),
    instances.QUESTION.format(name=MARK),
    reasoning.RECALL.format(condition=MARK, name=MARK),
    skills.LIST,
    f" {FORMAT}",
    f"Is there a{MARK} in this scene? Answer yes or no.",
    f"How many{MARK} are in this scene? Answer with a number.",
    "The scene holds",
    " Its picture shows the",
    f" Is there{MARK} Yes,{MARK} No, none",
    f" The response is{MARK} Go to",
    f"\nCondition{MARK}: ",
    f"<think>\n{MARK}\n</think>\n\\boxed{{{MARK}\\boxed{{{MARK}Case{MARK}yes{MARK}no",
    f"system\n{SYSTEM}",
)
"""Of prompts and responses, as the other rooms word them."""

WORDS = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How text splits where it is none of the fixed pieces: GPT-2's way, without its English contractions."""


def train_tokenizer() -> Any:
    """A transformers tokenizer; the same on every call."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    whole = sorted({*_pieces(), *_values(), *_numbers()}, key=lambda piece: (-len(piece), piece))
    # Not within a longer word or number: " a" is no part of " among".
    fixed = "|".join(re.escape(piece) + (r"(?!\w|\.\d)" if piece[-1].isalnum() else "") for piece in whole)
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = pre_tokenizers.Split(Regex(f"{fixed}|{WORDS}"), "isolated")
    vocabulary, merges = _learned()
    for piece in whole:
        ((encoded, _),) = to_bytes.pre_tokenize_str(piece)
        vocabulary.setdefault(encoded, len(vocabulary))
    # With ignore_merges a piece that is a token stays whole; everything else goes by the merges.
    backend = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    # No normalizer: decoding gives back the very string that was encoded.
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(SPECIAL))
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


def _learned() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a BPE over single words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        min_frequency=1,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator([CORPUS, "\n".join([*_syllables()] * OFTEN)], trainer)
    model = json.loads(backend.to_str())["model"]
    return model["vocab"], [(left, right) for left, right in model["merges"]]


def _pieces() -> Iterator[str]:
    """Fixed pieces of the templates; a space between two of them belongs to the one that follows."""
    for template in TEMPLATES:
        for piece in template.split(MARK):
            if len(kept := piece.rstrip(" ")) > 1:
                yield kept


def _values() -> Iterator[str]:
    for attribute, values in ATTRIBUTES.items():
        for word in (attribute, *values):
            yield word
            yield f" {word}"
        # Not the token that a caption has: a test need not tell itself from what it looks for.
        yield from (f" {wording.named(attribute, value)}" for value in values)


def _numbers() -> Iterator[str]:
    """Of conditions, where they begin and where they are named, and of cases."""
    layer = ["1"]
    for _ in range(DEEPEST):
        yield from (f"\nCondition {number}:" for number in layer)
        yield from (f" {number}" for number in layer)
        layer = [f"{number}{end}" for number in layer for end in (".1", ".2")]
    yield from (f" {case}" for case in range(CASES))


def _syllables() -> Iterator[str]:
    """Of the names of policies."""
    for onset in policies.ONSETS:
        for vowel in policies.VOWELS:
            yield onset + vowel
            yield (onset + vowel).capitalize()
