"""Renders pictures of scenes. OpenGL is loaded when a Renderer is created, not by importing this module."""

from __future__ import annotations

import weakref
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from clevrpolicy.scene.ontology import Scene
from harness.errors import UserError

if TYPE_CHECKING:
    from clevrpolicy.scene.gl import Studio

# The version of the look, stored in manifests: another version renders the same scenes differently.
VERSION = "clevr-1"

INSTALL_GL = "apt-get install --no-install-recommends libegl1 libgl1"


class RenderError(UserError, RuntimeError):
    """This machine or this renderer cannot render. The message says what to do."""


class Renderer(AbstractContextManager["Renderer"]):
    """Renders scenes of any size through one OpenGL context.

    Keep one per process and use it for every scene. Worker processes must be spawned, not forked.
    Raises RenderError if OpenGL is not available, or while another renderer is open.
    """

    _open: ClassVar[weakref.ref[Renderer] | None] = None

    def __init__(self) -> None:
        self._studio: Studio | None = None
        other = Renderer._open and Renderer._open()
        if other and other._studio:
            # Both would share EGL's display, so closing one would also close the other.
            raise RenderError("this process already has an open Renderer; use that one, or close it first")
        try:
            from clevrpolicy.scene.gl import Studio

            self._studio = Studio()
        except Exception as error:
            # Without a working OpenGL, PyOpenGL and EGL raise exceptions of many types (ImportError,
            # AttributeError, EGLError, AssertionError).
            raise RenderError(
                f"rendering needs OpenGL through EGL, which cannot be started ({error}); "
                f"on Debian or Ubuntu run: {INSTALL_GL}"
            ) from error
        Renderer._open = weakref.ref(self)

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Releases the OpenGL context; a second call does nothing."""
        if self._studio is not None:
            self._studio.delete()
            self._studio = None

    @property
    def driver(self) -> str:
        """The OpenGL driver, for example "llvmpipe (LLVM 15.0.6, 256 bits)"."""
        return self._opened().driver

    def render(self, scene: Scene) -> npt.NDArray[np.uint8]:
        """(height, width, 3) sRGB picture of a scene; the same bytes for the same scene and driver.

        Raises ValueError for a scene without objects or lamps.
        """
        return self._opened().picture(scene)

    def _opened(self) -> Studio:
        if self._studio is None:
            raise RenderError("this renderer was closed; create a new Renderer")
        return self._studio
