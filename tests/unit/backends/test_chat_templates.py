"""A checkpoint's chat template is tried once, before the first prompt."""

from typing import Any

import pytest

from harness.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from small_models import OTHERS, random_model  # noqa: E402

from harness.backends.local import chat  # noqa: E402
from harness.backends.local.chat import check_template  # noqa: E402
from training.base.model.checkpoint import build_processor  # noqa: E402
from training.base.model.tokenizer import train_tokenizer  # noqa: E402

TURN = "<|im_start|>{{{{ m.role }}}}\n{content}<|im_end|>\n"
LOOP = "{{%- for m in messages -%}}\n" + TURN + "{{% endfor -%}}<|im_start|>assistant\n"
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
TEXT_OF = "m.content if m.content is string else "


def template(content: str) -> str:
    return LOOP.format(content=content)


GOOD = (
    "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
    "{{ '" + IMAGE + "' if p.type == 'image' else p.text }}{% endfor %}{% endif %}"
)
TEXTS = "selectattr('type', 'equalto', 'text') | map(attribute='text')"
# What stands where the content should be -> whether lists of parts are taken, or the error; without images
# and with them.
CASES: dict[str, tuple[str, bool | str, bool | str]] = {
    "sound": (GOOD, True, True),
    "trims": ("{{ (m.content | " + TEXTS + " | join) | trim }}", True, "does not show the images"),
    "no pictures": (
        "{{ " + TEXT_OF + "(m.content | " + TEXTS + " | join) }}",
        True,
        "does not show the images",
    ),
    "one picture": (
        IMAGE + "{{ m.content | " + TEXTS + " | join }}",
        True,
        "does not show the images",
    ),
    "pictures first": (
        "{{ '"
        + IMAGE
        + "' * (m.content | selectattr('type', 'equalto', 'image') | list | length) }}"
        + "{{ m.content | "
        + TEXTS
        + " | join }}",
        True,
        True,
    ),
    "prints the list": ("{{ m.content }}", False, "does not show the text of a prompt as it is"),
    "writes JSON": ("{{ m.content | tojson }}", "does not show the text", "does not show the text"),
    "texts only": (
        "{% if m.content is not string %}{{ raise_exception('only texts') }}{% endif %}{{ m.content }}",
        False,
        "cannot be used: only texts",
    ),
    "adds the list": ("{{ 'Q: ' + m.content }}", False, "cannot be used: can only concatenate str"),
    "only the first text": ("{{ m.content[0].text }}", "does not show the text", "does not show the text"),
    "refuses": ("{{ raise_exception('never') }}", "cannot be used: never", "cannot be used: never"),
    "not a template": ("{% for %}", "cannot be used: Expected an expression", "cannot be used"),
    "divides by zero": ("{{ 1 // 0 }}", "cannot be used: integer division", "cannot be used"),
    "calls itself": ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "cannot be used", "cannot be used"),
}


@pytest.fixture(scope="module")
def processor() -> Any:
    return build_processor(train_tokenizer())


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_trial_prompt_is_searched_for_its_texts_and_images(processor: Any, case: str, images: bool) -> None:
    content, *expected = CASES[case]
    processor.chat_template = template(content)
    if isinstance(expected[images], bool):
        assert check_template("hf:x", processor, images) is expected[images]
        return
    with pytest.raises(UserError, match=f"^hf:x: its chat template {expected[images]}"):
        check_template("hf:x", processor, images)


def test_a_template_that_does_not_end_is_an_error(processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "MAX_TEMPLATE_SECONDS", 0.2)
    forever = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    processor.chat_template = template(forever)
    with pytest.raises(UserError, match=r"does not end within 0\.2 seconds"):
        check_template("hf:x", processor, images=False)


@pytest.mark.parametrize("architecture", OTHERS)
def test_other_architectures_show_texts_and_images(architecture: str) -> None:
    assert check_template("hf:x", random_model(architecture)[1], images=True)
