"""A small byte-level BPE tokenizer with Qwen's special tokens and chat format. Training it takes a second.

Text that policies repeat word for word is a single token: the fixed pieces of the templates, the numbers of
conditions, the values of attributes. Prompts become much shorter:

    template  " Check whether there is {thing} {where}."
    text      " Check whether there is a red object in the scene."
    tokens    | Check whether there is| a red object| in the scene|.|

Any other text is split into words and encoded by BPE. Every byte is a token, so each string round-trips.
"""

import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from clevrpolicy import skills
from clevrpolicy.dataset import instances
from clevrpolicy.policy import reasoning, wording
from clevrpolicy.scene.ontology import ATTRIBUTES
from harness.generation import names
from harness.parsing import FORMAT

# Maximum size of the BPE vocabulary, including bytes and special tokens.
BPE_SIZE = 768
# How often the training text repeats the syllables of policy names, so that BPE learns them first.
SYLLABLE_REPEATS = 20
# Longest sequence, in tokens.
MAX_LENGTH = 32768
# The numbers of conditions in the first layers, and of the first cases, are one token each.
MAX_DEPTH, MAX_CASES = 6, 64
# The number of each possible condition, layer by layer.
CONDITIONS = tuple(
    ".".join(("1", *branches)) for layer in range(MAX_DEPTH) for branches in product("12", repeat=layer)
)

SPECIAL_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
# Qwen2.5-VL's chat format.
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")

# Words that BPE learns, in addition to the fixed pieces of the templates.
CORPUS = """\
system user assistant
Policy Case Condition scene object objects condition response picture tool image number color size shape
material a word of words section to the in is an and if not with for
you must may call only use result rule version profile
One two three first last, second; which: what (when) where how many? "text" 0 1 2 3 4 5 6 7 8 9 10 11 12
"""
# Marks the variable parts of a template.
GAP = "…"

# Templates of prompts and responses, as constants of the modules that define them where possible.
TEMPLATES = (
    *(
        " " + re.sub(r"<image:\{\w+\}>|\{\w*\}", GAP, sentence)
        for sentence in (
            *(*wording.TESTS, *wording.ROUTES, *wording.GO, *wording.GIVE),
            *(wording.BY_PICTURE, wording.SCENE, wording.NARROWED),
            *(wording.ACCUMULATE, wording.ALONE, wording.REPLACES),
        )
    ),
    wording.HEAD.format(name=GAP),
    instances.QUESTION.format(name=GAP),
    reasoning.RECALL.format(condition=GAP, name=GAP),
    skills.LIST,
    f" {FORMAT}",
    f"Is there a{GAP} in this scene? Answer yes or no.",
    f"How many{GAP} are in this scene? Answer with a number.",
    "The scene holds",
    " Its picture shows the",
    f" Is there{GAP} Yes,{GAP} No, none",
    f" The response is{GAP} Go to",
    f"\nCondition{GAP}: ",
    f"<think>\n{GAP}\n</think>\n\\boxed{{{GAP}\\boxed{{{GAP}Case{GAP}yes{GAP}no",
    "system\nYou are a helpful assistant.",
)
# Splits all other text into words like GPT-2, but without the English contractions.
WORD_PATTERN = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def train_tokenizer() -> Any:
    """Return a transformers tokenizer, the same on every call."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # Longest first, because a regular expression takes the first alternative that matches.
    pieces = sorted({*_template_pieces(), *_values(), *_numbers()}, key=lambda piece: (-len(piece), piece))
    # A piece must not end inside a longer word or number: " a" must not match in " among".
    fixed = "|".join(re.escape(piece) + (r"(?!\w|\.\d)" if piece[-1].isalnum() else "") for piece in pieces)
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = pre_tokenizers.Split(Regex(f"{fixed}|{WORD_PATTERN}"), "isolated")
    vocabulary, merges = _train_bpe()
    for piece in pieces:
        ((piece_bytes, _),) = to_bytes.pre_tokenize_str(piece)
        vocabulary.setdefault(piece_bytes, len(vocabulary))
    # With ignore_merges, a piece that is in the vocabulary is one token; the merges apply to all other text.
    backend = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    # There is no normalizer, so decoding returns exactly the string that was encoded.
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(SPECIAL_TOKENS))
    end, pad = "<|im_end|>", "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=end,
        pad_token=pad,
        extra_special_tokens=[token for token in SPECIAL_TOKENS if token not in (end, pad)],
        padding_side="left",
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def _train_bpe() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the vocabulary and the merges of a BPE over single words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=BPE_SIZE,
        min_frequency=1,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # The syllables of policy names, each also with a capital letter.
    syllables = [onset + vowel for onset in names.ONSETS for vowel in names.VOWELS]
    both = [name for syllable in syllables for name in (syllable, syllable.capitalize())]
    backend.train_from_iterator([CORPUS, "\n".join(both * SYLLABLE_REPEATS)], trainer)
    model = json.loads(backend.to_str())["model"]
    return model["vocab"], [(left, right) for left, right in model["merges"]]


def _template_pieces() -> Iterator[str]:
    """The fixed text between the gaps of each template."""
    for template in TEMPLATES:
        for text in template.split(GAP):
            # A space before a gap belongs to the word that fills the gap.
            piece = text.rstrip(" ")
            if len(piece) > 1:
                yield piece


def _values() -> Iterator[str]:
    for attribute, values in ATTRIBUTES.items():
        for word in (attribute, *values):
            yield word
            yield f" {word}"
        # A condition says " a red object", a caption says " red". As the tokens differ, the model need not
        # separate a condition's own mention of a value from the caption's.
        yield from (f" {wording.noun_phrase(attribute, value)}" for value in values)


def _numbers() -> Iterator[str]:
    """The numbers of conditions, as section headings and as references, and the numbers of cases."""
    yield from (f"\nCondition {number}:" for number in CONDITIONS)
    yield from (f" {number}" for number in CONDITIONS)
    yield from (f" {case}" for case in range(MAX_CASES))
