"""Pictures of scenes. OpenGL is loaded when a Renderer is made, never by importing this module."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import numpy.typing as npt

from clevrpolicy.scene.ontology import Scene
from harness.errors import UserError

if TYPE_CHECKING:
    from clevrpolicy.scene.gl import Studio

VERSION = "studio-1"
"""Names the look, for manifests: pictures of another version show the same scenes differently."""

REMEDY = "apt-get install --no-install-recommends libegl1 libgl1"


class RenderError(UserError, RuntimeError):
    """No picture can be made on this machine, or by this renderer; the message says what to do."""


class Renderer:
    """Draws scenes of any size through one OpenGL context; a context manager.

    Keep one per process and use it for every scene. Worker processes must be spawned, not forked.
    Raises RenderError when OpenGL cannot be had, and while another one is open.
    """

    _open: ClassVar[weakref.ref[Renderer] | None] = None

    def __init__(self) -> None:
        self._studio: Studio | None = None
        other = Renderer._open and Renderer._open()
        if other and other._studio:
            # Both would share EGL's display, and closing either one would close it under the other.
            raise RenderError("this process already has an open Renderer; use that one, or close it first")
        try:
            from clevrpolicy.scene.gl import Studio

            self._studio = Studio()
        except Exception as error:
            # PyOpenGL and EGL fail in many ways (ImportError, AttributeError, EGLError, AssertionError), each
            # for the same reason.
            raise RenderError(
                f"OpenGL through EGL is needed to draw scenes, but it cannot be started ({error}); "
                f"on Debian or Ubuntu run: {REMEDY}"
            ) from error
        Renderer._open = weakref.ref(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back; a second call does nothing."""
        if self._studio is not None:
            self._studio.delete()
            self._studio = None

    @property
    def driver(self) -> str:
        """What draws, for example "llvmpipe (LLVM 15.0.6, 256 bits)"."""
        return self._opened().driver

    def render(self, scene: Scene) -> npt.NDArray[np.uint8]:
        """(height, width, 3) picture of a scene; the same bytes for the same scene and driver.

        Raises ValueError for a scene without objects or lamps.
        """
        return self._opened().picture(scene)

    def _opened(self) -> Studio:
        if self._studio is None:
            raise RenderError("this renderer was closed; make a new Renderer to draw more scenes")
        return self._studio
