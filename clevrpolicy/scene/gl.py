"""The OpenGL part of rendering: pyrender, with our own shader for everything that gives a scene its look.

pyrender provides the context, the buffers and the pass over the meshes, with these changes:

    1. two maps of the ground       The CPU computes them (ground_maps.py); they become textures (GroundMap).
    2. a shading pass, 4 samples    surface.glsl replaces pyrender's fragment shader (ShaderPrograms). It gets
                                    objects, lamps and maps (ShadingPass). All objects are one mesh, which is
                                    drawn before the ground.
    3. read the pixels              But not pyrender's depth picture, which costs as much as the colors.

Studio reuses the context, the ground and the textures for all scenes.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

# pyrender reads both during its import: the first selects the context, the second disables its viewer.
os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
os.environ.setdefault("PYGLET_HEADLESS", "True")

import numpy as np
import numpy.typing as npt
import pyrender
from OpenGL import GL
from pyrender.renderer import Renderer
from pyrender.shader_program import ShaderProgramCache

from clevrpolicy.scene import ground_maps
from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.lamps import LAMPS, Lamp, lamps
from clevrpolicy.scene.ontology import ATTRIBUTES, RADIUS, RGB, Object, Scene
from clevrpolicy.scene.shapes import GROUND, Surface, joined, placed

# Nearest and farthest depth that is drawn, in world units.
NEAR, FAR = 1.0, 100.0
# Maximum number of objects in a scene; surface.glsl contains the same number.
MAX_OBJECTS = 16
# Texels along each side of the map of shadows, per pixel of a picture's width.
TEXELS_PER_PIXEL = 8 / 15


class ShaderPrograms(ShaderProgramCache):  # type: ignore[misc]
    """pyrender's shaders, with surface.glsl instead of its material shader."""

    surface = Path(__file__).with_name("surface.glsl")

    def get_program(self, vertex_shader: str, fragment_shader: str, *rest: Any, **more: Any) -> Any:
        if fragment_shader == "mesh.frag":
            fragment_shader = str(self.surface)
        return super().get_program(vertex_shader, fragment_shader, *rest, **more)


class GroundMap:
    """A texture that holds a map of the ground, and its value outside the map."""

    def __init__(self, unit: int, outside: float) -> None:
        self._unit, self._outside = GL.GL_TEXTURE0 + unit, outside
        self._name: Any = None

    def upload(self, values: npt.NDArray[np.uint8]) -> None:
        """(side, side, 4) values from now on; row and column 0 are at the least y and x."""
        GL.glActiveTexture(self._unit)
        if self._name is None:
            self._name = GL.glGenTextures(1)
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._name)
        for name, value in (
            (GL.GL_TEXTURE_MAG_FILTER, GL.GL_LINEAR),
            (GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR_MIPMAP_LINEAR),
            (GL.GL_TEXTURE_WRAP_S, GL.GL_CLAMP_TO_BORDER),
            (GL.GL_TEXTURE_WRAP_T, GL.GL_CLAMP_TO_BORDER),
        ):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, name, value)
        GL.glTexParameterfv(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_BORDER_COLOR, [self._outside] * 4)
        height, width, _ = values.shape
        layout = GL.GL_RGBA, GL.GL_UNSIGNED_BYTE
        GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, GL.GL_RGBA8, width, height, 0, *layout, values)
        GL.glGenerateMipmap(GL.GL_TEXTURE_2D)


class ShadingPass(Renderer):  # type: ignore[misc]
    """pyrender's pass over the meshes, with the inputs of surface.glsl."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self._program_cache = ShaderPrograms()
        # Outside the maps, every lamp is visible, and there are no objects.
        self._shares, self._tints = GroundMap(0, 1.0), GroundMap(1, 0.0)

    def _sorted_mesh_nodes(self, scene: StudioScene) -> list[Any]:
        # Objects first, so that hidden ground is not shaded. pyrender would draw the farthest mesh first.
        return [scene.objects_node, scene.ground_node]

    def _bind_lighting(self, scene: StudioScene, program: Any, node: Any, flags: int) -> None:
        if node is scene.objects_node:
            self._shares.upload(scene.shares)
            self._tints.upload(scene.tints)
            program.set_uniform("object_count", len(scene.objects))
            _set_matrices(program, "objects", scene.objects)
        _set_matrices(program, "lamps", scene.lamps)
        program.set_uniform("shares", 0)
        program.set_uniform("tints", 1)

    def _read_main_framebuffer(self, scene: StudioScene, flags: int) -> Any:
        width, height = self._main_fb_dims
        GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, self._main_fb_ms)
        GL.glBindFramebuffer(GL.GL_DRAW_FRAMEBUFFER, self._main_fb)
        area = (0, 0, width, height)
        GL.glBlitFramebuffer(*area, *area, GL.GL_COLOR_BUFFER_BIT, GL.GL_NEAREST)
        GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, self._main_fb)
        data = GL.glReadPixels(*area, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE)
        pixels = np.frombuffer(data, dtype=np.uint8).reshape(height, width, 4)
        return np.ascontiguousarray(pixels[::-1, :, :3])  # OpenGL's first row is the lowest


class StudioScene(pyrender.Scene):  # type: ignore[misc]
    """A pyrender scene, and what surface.glsl needs in addition."""

    def __init__(self, scene: Scene, ground: Any) -> None:
        super().__init__(bg_color=(0.0, 0.0, 0.0, 1.0))
        scene_lamps = lamps(scene.lights)
        # At least two texels, so that the second map, of half the side, has one.
        side = max(2, round(scene.width * TEXELS_PER_PIXEL))
        self.shares = ground_maps.shares(scene.objects, scene_lamps, side)
        self.tints = ground_maps.tints(scene.objects, side // 2)
        self.objects = np.array([_object_columns(item) for item in scene.objects], dtype=np.float32)
        self.lamps = np.array([_lamp_columns(lamp) for lamp in scene_lamps], dtype=np.float32)
        self.objects_node = self.add(_objects_mesh(scene.objects))
        self.ground_node = self.add(ground)


class Studio(pyrender.OffscreenRenderer):  # type: ignore[misc]
    """An OpenGL context with the ground, which renders any scene. delete() releases it."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self._ground = _mesh(GROUND)

    def _create(self) -> None:
        super()._create()
        self._renderer = ShadingPass(self.viewport_width, self.viewport_height)

    @property
    def driver(self) -> str:
        """The name of the OpenGL driver."""
        self._platform.make_current()
        return bytes(GL.glGetString(GL.GL_RENDERER)).decode()

    def picture(self, scene: Scene) -> npt.NDArray[np.uint8]:
        """(height, width, 3) sRGB picture of a scene.

        Raises ValueError for a scene without objects, with more than MAX_OBJECTS, or without lamps.
        """
        if not 1 <= len(scene.objects) <= MAX_OBJECTS or not LAMPS.keys() <= scene.lights.keys():
            raise ValueError(
                f"scene {scene.id}: expected 1 to {MAX_OBJECTS} objects and the lamps {', '.join(LAMPS)}, "
                f"got {len(scene.objects)} objects and the lamps {', '.join(scene.lights) or '(none)'}"
            )
        camera = Camera(scene.camera, scene.width, scene.height)
        studio_scene = StudioScene(scene, self._ground)
        lens = pyrender.PerspectiveCamera(
            yfov=camera.vertical_fov, aspectRatio=scene.width / scene.height, znear=NEAR, zfar=FAR
        )
        studio_scene.add(lens, pose=camera.pose())
        self.viewport_width, self.viewport_height = scene.width, scene.height
        pixels: npt.NDArray[np.uint8] = self.render(studio_scene)
        return pixels


def _objects_mesh(objects: tuple[Object, ...]) -> Any:
    """All objects as one mesh: each additional one costs about forty OpenGL calls per picture."""
    # The nearest first, so that hidden surfaces are not shaded.
    order = sorted(range(len(objects)), key=lambda index: objects[index].pixel_coords[2])
    surfaces = [placed(objects[index]) for index in order]
    indices = np.repeat(order, [len(surface.positions) for surface in surfaces])
    # Stored as a color, because with a texture coordinate Mesa 22.3 writes past its buffers on processors
    # with 128-bit vectors (LP_NATIVE_VECTOR_WIDTH=128 reproduces this).
    colors = np.zeros((len(indices), 4), dtype=np.float32)
    colors[:, 0] = indices
    return _mesh(joined(surfaces), colors)


def _mesh(surface: Surface, colors: npt.NDArray[np.float32] | None = None) -> Any:
    positions, normals, triangles = surface
    return pyrender.Mesh([pyrender.Primitive(positions, normals, indices=triangles, color_0=colors)])


def _object_columns(item: Object) -> list[tuple[float, ...]]:
    """The columns of an object's matrix in surface.glsl."""
    angle = math.radians(item.rotation)
    metal, shape = item.kind.material == "metal", ATTRIBUTES["shape"].index(item.kind.shape)
    red, green, blue = (channel / 255 for channel in RGB[item.kind.color])
    return [
        (*item.coords, RADIUS[item.kind.size]),
        (math.cos(angle), math.sin(angle), metal, shape),
        (red, green, blue, 0.0),
        (0.0, 0.0, 0.0, 0.0),
    ]


def _lamp_columns(lamp: Lamp) -> list[tuple[float, ...]]:
    """The columns of a lamp's matrix in surface.glsl."""
    distance = math.hypot(*lamp.position)
    x, y, z = (-coordinate / distance for coordinate in lamp.position)
    return [(*lamp.position, lamp.radius), (*lamp.intensity, 0.0), (x, y, z, 0.0), (0.0, 0.0, 0.0, 0.0)]


def _set_matrices(program: Any, name: str, matrices: npt.NDArray[np.float32]) -> None:
    """Sets an array of matrices, which pyrender cannot; matrices[i, j] is column j of matrix i."""
    location = GL.glGetUniformLocation(program._program_id, name)
    GL.glUniformMatrix4fv(location, len(matrices), GL.GL_FALSE, matrices)
