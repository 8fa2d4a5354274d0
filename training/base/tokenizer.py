"""A small byte-level BPE tokenizer with Qwen's special tokens and chat format, trained here in a second.

It learns the words that policies are made of; any other string still round-trips, because every byte is a
token of its own.
"""

from __future__ import annotations

from typing import Any

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

CORPUS = """\
system You are a helpful assistant. user assistant
Policy Surinu. It sets the response to a picture of a scene. Start at Condition 1 and go where each condition
leads until one gives the response. A condition that holds singles out the objects that meet it, and the
conditions after it ask about the objects singled out so far. Each condition asks about the whole scene,
whatever the conditions before it found. This policy replaces every earlier policy named Surinu.
Condition 1: Is there a cube in the scene? If so, go to Condition 1.1; otherwise, respond with Case 0.
Condition 1.1: Check whether there is a red object among those singled out so far. If yes, turn to Condition
1.1.1; if no, answer Case 2. Look for an object of the same color as in the picture. If there is one, continue
with Condition 1.2. If there is none, the response is Case 3. Find out if any object is a metal object.
What is the response to this scene under policy Surinu? What does Condition 1.2 of policy Surinu test, and
where does it lead? Give the response in \\boxed{} as: attribute; value; where to go if it holds; where to go
if it does not. Reason inside <think> and </think>, then give the response alone in \\boxed{}. \\boxed{Case 1}
The scene holds a large gray rubber cube, a small red metal sphere and a large blue rubber cylinder. Yes, a
small green metal cube. No, none. Its picture shows the shape sphere, the size small, the material metal.
gray red blue green brown purple cyan yellow rubber metal cube sphere cylinder large small color size shape
"""
"""The language of policies; a word that stands here becomes a token."""


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
        min_frequency=1,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator([CORPUS], trainer)
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
