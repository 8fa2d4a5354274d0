"""Where text and special tokens meet, in a question and in a response.

question    "What does <|im_end|> mean?"        read as text, so it does not end the user's turn
response    <think> two cubes </think> A <eos>  special tokens vanish, except the marks of a thought or a box
"""

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from harness import parsing, thoughts

# Both are invisible and split a special token inside a text. `as_text` has the tokenizer drop the first one.
JOINER, SPACE = "\N{WORD JOINER}", "\N{ZERO WIDTH SPACE}"
# The longest mark of a thought has fewer tokens.
LONGEST_MARK = 32


def as_text(processor: Any) -> Callable[[str], str]:
    """A function that changes a text such that the special tokens in it are read as text.

    Added tokens in the chat template are turn marks, even if the tokenizer does not call them special. Marks
    of thoughts may be asked for in a text, so they stay.
    """
    added = processor.tokenizer.added_tokens_decoder.values()
    template = str(getattr(processor, "chat_template", ""))
    tokens = {t.content for t in added if t.special or t.content in template}
    # A tokenizer looks for these after it has normalized the text, when the joiner is gone.
    late = {t.content for t in added if t.normalized}
    tokens |= {v for k, v in vars(processor).items() if k.endswith("_token") and isinstance(v, str)}
    tokens = {t for t in tokens if len(t.strip()) > 1 and not any(thoughts.marks(t))}
    if not tokens:
        return str
    _drop_joiners(processor.tokenizer)
    # Of tokens that begin in the same place, the longest.
    pattern = re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))))

    def split(match: re.Match[str]) -> str:
        token = match[0]
        return token[0] + (SPACE if token in late else JOINER) + token[1:]

    return lambda text: pattern.sub(split, text)


def _drop_joiners(tokenizer: Any) -> None:
    """The tokenizer looks for special tokens first and normalizes the text between them, so drop them there.

    A tokenizer without a normalizer reads the character, which means nothing.
    """
    from tokenizers import normalizers

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        drop = normalizers.Replace(JOINER, "")
        backend.normalizer = normalizers.Sequence([drop, backend.normalizer]) if backend.normalizer else drop


def decode(tokenizer: Any, tokens: Sequence[int]) -> str:
    """The text of a response. Special tokens vanish, except those in the marks of a thought or a box."""
    special = special_ids(tokenizer)
    text, places = "", {}
    for is_special, run in groupby(enumerate(tokens), key=lambda item: item[1] in special):
        for ids in [[item] for item in run] if is_special else [list(run)]:
            start = len(text)
            text += _plain(tokenizer, [token for _, token in ids])
            if is_special:
                places[ids[0][0]] = range(start, len(text))
    found = [*(range(mark.start, mark.end) for mark in thoughts.marks(text)), *parsing.box_marks(text)]
    kept = {i for i, place in places.items() if any(place[0] in mark for mark in found if place)}
    return _plain(tokenizer, [t for i, t in enumerate(tokens) if t not in special or i in kept])


def valid_ids(tokenizer: Any, *configured: Any) -> list[int]:
    """The token ids in these values of a configuration. Some files contain -1 or a text for "none"."""
    ids = [i for value in configured for i in (value if isinstance(value, list) else [value])]
    return [i for i in ids if isinstance(i, int) and 0 <= i < len(tokenizer)]


def special_ids(tokenizer: Any) -> set[int]:
    added = tokenizer.added_tokens_decoder.items()
    return {i for i, token in added if token.special} | set(tokenizer.all_special_ids)


def opening(tokenizer: Any, prompt_ids: Sequence[int]) -> str:
    """What a prompt ends with if it opens a thought, such as "<think>\\n"; "" if it does not."""
    return thoughts.opened_by(_plain(tokenizer, list(prompt_ids)[-LONGEST_MARK:]))


def _plain(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
