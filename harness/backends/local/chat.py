"""Turns prompts into a checkpoint's inputs: one user message each, in the checkpoint's chat format."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jinja2 import TemplateError

from harness.backends.local.tokens import as_text, valid_ids
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Part, Prompt
from harness.text import printable, short


class ChatReader:
    """Reads messages in the checkpoint's chat format. One that is too long is an error, not truncated."""

    def __init__(self, processor: Any, positions: int | None = None, max_new_tokens: int = 0) -> None:
        self.processor, self.positions, self.max_new_tokens = processor, positions, max_new_tokens
        # Whether the chat template takes a message as a list of parts.
        self.takes_parts = True

    def content(self, parts: Sequence[Any]) -> list[dict[str, Any]]:
        """The parts in transformers' chat format, with the images loaded. Here they are already."""
        return list(parts)

    def message(self, content: list[dict[str, Any]]) -> Any:
        """The content as the chat template takes it: a list of parts, or one text."""
        return content if self.takes_parts else "".join(part["text"] for part in content)

    def turns(self, content: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A user message, and the beginning of the response to it if the content has one at its end."""
        if not _begins_response(content):
            return [{"role": "user", "content": self.message(content)}]
        begun = [{"type": "text", "text": content[-1]["text"]}]
        return [*self.turns(content[:-1]), {"role": "assistant", "content": self.message(begun)}]

    def tensors(self, contents: Sequence[list[dict[str, Any]]]) -> Any:
        """The model's inputs for one user message per content. All of them begin a response, or none."""
        begun = any(map(_begins_response, contents))
        try:
            inputs = self.processor.apply_chat_template(
                [self.turns(content) for content in contents],
                add_generation_prompt=not begun,
                continue_final_message=begun,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
        except (ValueError, TypeError, TemplateError) as error:
            raise UserError(f"the checkpoint's processor rejected the prompt: {error}") from error
        longest, new = int(inputs["attention_mask"].sum(1).max()), self.max_new_tokens
        if self.positions is not None and longest + new > self.positions:
            raise UserError(
                f"expected prompt and response within the checkpoint's {self.positions} positions, got a "
                f"prompt of {longest} tokens and --max-new-tokens {new}; lower it, or shorten the prompt"
            )
        return inputs


def _begins_response(content: Sequence[dict[str, Any]]) -> bool:
    return any(part["type"] == "response" for part in content[-1:])


class Reader(ChatReader):
    """Reads the prompts of a benchmark."""

    def __init__(
        self, processor: Any, config: Any, benchmark: Benchmark, positions: int | None, max_new_tokens: int
    ) -> None:
        super().__init__(processor, positions, max_new_tokens)
        self.benchmark = benchmark
        self.placeholders = placeholders(config, processor)
        self.as_text = as_text(processor)

    def check(self, name: str, prompts: Sequence[Prompt]) -> None:
        """Raises UserError, which begins with `name`, if the chat template cannot show such prompts."""
        images = any(part.kind == "image" for prompt in prompts for part in prompt.parts)
        self.takes_parts = check_template(name, self.processor, images)

    def read(self, prompts: Sequence[Prompt]) -> Any:
        """The model's inputs for B prompts, padded on the left to T tokens: input_ids (B, T), pixels, ...

        Raises UserError if a prompt is too long or has an unreadable image.
        """
        return self.tensors([self.content(prompt.parts) for prompt in prompts])

    def content(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        """The parts in transformers' chat format, with the images loaded."""
        content: list[dict[str, Any]] = []
        for part in parts:
            if part.kind == "image":
                content.append({"type": "image", "image": self.benchmark.image(part.value)})
                continue
            content.append({"type": part.kind, "text": self.as_text(part.value)})
        return content


# Two texts whose line break, quotes and backslash Python and JSON would write in another way.
TRIAL_TEXTS = ('Which "one"\nis it?', "It's \\boxed{1}.")
# A template takes milliseconds.
MAX_TEMPLATE_SECONDS = 5


def check_template(name: str, processor: Any, images: bool) -> bool:
    """Renders a trial prompt of two texts, and with `images` of two images, and searches it for each.

    Returns whether the chat template takes a message as a list of parts; if not, it takes only one text.
    Raises UserError, which begins with `name`, if the template fails or does not show a text or an image, or
    if the checkpoint reads no images.
    """
    if images and not hasattr(processor, "image_processor"):
        raise UserError(f"{name}: expected a vision-language checkpoint for prompts with images")
    texts = [{"type": "text", "text": text} for text in TRIAL_TEXTS]
    try:
        plain = _trial(name, processor, texts)
    except UserError as error:
        if images or isinstance(error.__cause__, TimeoutError):
            raise
        _trial(name, processor, "".join(TRIAL_TEXTS))
        return False
    if images:
        picture = {"type": "image"}
        shown = _trial(name, processor, [texts[0], picture, texts[1], picture])
        if not any(shown.count(token) - plain.count(token) >= 2 for token in _image_tokens(processor)):
            advice = "use the template of a vision-language checkpoint"
            raise UserError(f"{name}: its chat template does not show the images of a prompt; {advice}")
    return True


def _trial(name: str, processor: Any, content: Any) -> str:
    rendered = render(name, processor, [{"role": "user", "content": content}], add_generation_prompt=True)
    if not all(text in rendered for text in TRIAL_TEXTS):
        raise UserError(
            f"{name}: its chat template does not show the text of a prompt as it is; use a template that "
            "takes a list of texts and images"
        )
    return rendered


def end_tokens(name: str, processor: Any, generation_config: Any) -> set[int]:
    """Ids that end a response: of the generation config, the tokenizer, and a rendered assistant's turn.

    Raises UserError, which begins with `name`, if there is none.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    configured = getattr(generation_config, "eos_token_id", None)
    turn_end = _end_of_turn(name, processor, tokenizer)
    ids = valid_ids(tokenizer, configured, tokenizer.eos_token_id, turn_end)
    if not ids:
        raise UserError(
            f"{name}: expected an end token in generation_config.json or tokenizer_config.json, found none; "
            "set eos_token_id"
        )
    return set(ids)


def _end_of_turn(name: str, processor: Any, tokenizer: Any) -> int | None:
    """The added token behind an assistant's text in the chat template; None without one."""
    turns = [("user", TRIAL_TEXTS[0]), ("assistant", TRIAL_TEXTS[1])]
    added = tokenizer.added_tokens_decoder
    for as_parts in (True, False):
        contents = [(role, [{"type": "text", "text": text}] if as_parts else text) for role, text in turns]
        messages = [{"role": role, "content": content} for role, content in contents]
        try:
            rendered = render(name, processor, messages, add_generation_prompt=False)
        # Such as a template for prompts alone.
        except UserError:
            continue
        _, _, rest = rendered.rpartition(TRIAL_TEXTS[1])
        behind = [i for i, t in added.items() if t.content.strip() and rest.lstrip().startswith(t.content)]
        if TRIAL_TEXTS[1] in rendered and behind:
            return int(max(behind, key=lambda i: len(added[i].content)))
    return None


def render(name: str, processor: Any, messages: Sequence[Any], add_generation_prompt: bool) -> str:
    """The messages in the checkpoint's chat format. UserError if its template fails or does not end."""
    try:
        with _time_limit(MAX_TEMPLATE_SECONDS):
            return str(
                processor.apply_chat_template(
                    list(messages), add_generation_prompt=add_generation_prompt, tokenize=False
                )
            )
    # A template is a program of its author, so any exception may occur.
    except Exception as error:
        reason = printable(str(error) or type(error).__name__)
        raise UserError(
            f"{name}: its chat template cannot be used: {short(reason, 200)}; correct chat_template.jinja"
        ) from error


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises TimeoutError within the context after so many seconds; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError(f"it does not end within {seconds} seconds")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _image_tokens(processor: Any) -> set[str]:
    """Every token that might be the placeholder of an image."""
    added = {token.content for token in processor.tokenizer.added_tokens_decoder.values()}
    return added | {v for k, v in vars(processor).items() if k.endswith("_token") and isinstance(v, str)}


def placeholders(config: Any, processor: Any) -> dict[int, str]:
    """The tokens that mark images and videos in a prompt, by id. No response may contain them."""
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = {getattr(source, name, None) for source in (config, processor) for name in names}
    tokens = {i: processor.tokenizer.convert_ids_to_tokens(i) for i in ids if isinstance(i, int)}
    return {i: token for i, token in tokens.items() if token}
