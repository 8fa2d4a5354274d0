"""What is seen of image files of all kinds, and what is sent to APIs."""

import io
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_images import Odd, readable, unreadable
from PIL import Image

from harness import images
from harness.errors import UserError

READABLE, UNREADABLE = readable(), unreadable()


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def silent(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Fails if a line is written to the terminal."""
    yield
    assert capfd.readouterr() == ("", "")


def about(value: int, odd: Odd) -> object:
    return pytest.approx((value,) * 3, abs=odd.lossy)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("name", READABLE)
def test_an_image_is_seen_upright_on_white_in_8_bits(name: str) -> None:
    odd = READABLE[name]
    image = images.pixels(odd.data, name)
    assert (image.mode, image.size, image.info) == ("RGB", odd.size, {})
    assert image.getpixel(odd.ink_at) == about(odd.ink, odd)
    assert image.getpixel((odd.size[0] // 2, odd.size[1] // 2)) == about(odd.ground, odd)


@pytest.mark.parametrize("name", READABLE)
def test_an_api_gets_the_same_pixels_and_the_type_of_the_content(name: str) -> None:
    odd = READABLE[name]
    media_type, data = images.encoded(odd.data, name)
    assert (media_type, data == odd.data) == (odd.media_type, odd.kept)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.get_format_mimetype() == media_type
        assert opened.getexif().get(0x0112, 1) == 1
        # Nothing but the conversion that every program does.
        assert opened.convert("RGB").tobytes() == images.pixels(odd.data, name).tobytes()


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_an_error_of_one_sentence(name: str) -> None:
    data, reason = UNREADABLE[name]
    for read in (images.pixels, images.encoded):
        with pytest.raises(UserError) as caught:
            read(data, f"images/{name}")
        message = str(caught.value)
        assert message.startswith(f"images/{name}: not a readable image: ")
        assert reason in message
        assert "\n" not in message


@given(
    name=st.sampled_from(sorted(READABLE)),
    place=st.integers(0, 4000),
    new=st.binary(max_size=6),
    cut=st.integers(0, 4000) | st.none(),
)
def test_a_damaged_file_is_read_or_reported(name: str, place: int, new: bytes, cut: int | None) -> None:
    data = READABLE[name].data
    place %= len(data)
    damaged = (data[:place] + new + data[place + len(new) :])[:cut]
    try:
        image = images.pixels(damaged, name)
    except UserError as error:
        assert str(error).startswith(f"{name}: not a readable image: ")
        return
    media_type, sent = images.encoded(damaged, name)
    assert images.encoded(sent, name) == (media_type, sent)
    assert images.pixels(sent, name).tobytes() == image.tobytes()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_reported(data: bytes) -> None:
    with pytest.raises(UserError, match=r"^x: not a readable image: "):
        images.pixels(data, "x")


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_gray_values_keep_their_order(one: int, other: int) -> None:
    values = np.array([[one, other]], np.uint16)
    for kind in ("PNG", "TIFF"):
        file = io.BytesIO()
        Image.fromarray(values).save(file, kind)
        (a, *_), (b, *_) = np.asarray(images.pixels(file.getvalue(), "x"))[0].tolist()
        assert (a <= b) if one <= other else (a >= b)


@pytest.mark.parametrize(
    ("path", "media_type", "expected"),
    [
        ("image/a.png", "image/png", "image/a.png"),
        ("image/a.JPG", "image/jpeg", "image/a.JPG"),
        ("image/a.jpeg", "image/jpeg", "image/a.jpeg"),
        ("image/a.jfif", "image/jpeg", "image/a.jpg"),
        ("image/a.jpg", "image/png", "image/a.png"),
        ("image/a.b.tif", "image/png", "image/a.b.png"),
        ("image/a", "image/webp", "image/a.webp"),
    ],
)
def test_the_suffix_of_a_file_is_that_of_its_content(path: str, media_type: str, expected: str) -> None:
    assert images.file_name(path, media_type) == expected
