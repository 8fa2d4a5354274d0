"""The OpenGL part of rendering: pyrender, made faster, with soft shadows and different materials.

pyrender provides the context, the buffers and the passes. A picture takes these steps, with these changes:

    1. for each lamp, a shadow pass     The map contains only the objects' far sides (RenderPasses). OpenGL
                                        compares and filters its depths (ShadowMap).
    2. a shading pass, 4 samples        surface.glsl replaces pyrender's fragment shader (ShaderPrograms). All
                                        objects are one mesh (shapes.vertices), drawn before the ground.
    3. read the pixels                  But not pyrender's depth picture, which costs as much as the colors.

Studio reuses the context, the lamps and the ground for all scenes.
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
from pyrender.texture import Texture

from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.ontology import Object, Scene, Vector
from clevrpolicy.scene.shapes import Vertices, linear, vertices
from clevrpolicy.scene.visibility import half_height

# Texels along each side of a lamp's shadow map.
SHADOW_SIZE = 1024
# Least and greatest distance in a shadow map, in world units; most lit points are 3 to 9 from a lamp.
NEAR, FAR = 0.5, 24.0
# Angle across a shadow map: with CLEVR's jitter, it misses at most a corner of the area with objects.
LAMP_ANGLE = math.radians(110.0)
# Half the side of the ground in world units, so large that the ground's color fades before its edge.
GROUND_REACH = 200.0
# Maximum number of objects that darken the ground around them; surface.glsl contains the same number.
OCCLUDERS = 10

# Color and intensity of each lamp.
LAMPS = {
    "key": ((1.0, 0.93, 0.82), 62.0),
    "fill": ((0.78, 0.87, 1.0), 18.0),
    "back": ((1.0, 0.98, 0.96), 30.0),
}


class ShadowMap(Texture):  # type: ignore[misc]
    """A depth texture that returns the lit share of a neighborhood. Outside the map, everything is lit."""

    def _add_to_context(self) -> None:
        super()._add_to_context()
        self._bind()
        for name, value in (
            (GL.GL_TEXTURE_COMPARE_MODE, GL.GL_COMPARE_REF_TO_TEXTURE),
            (GL.GL_TEXTURE_COMPARE_FUNC, GL.GL_LEQUAL),
            (GL.GL_TEXTURE_MAG_FILTER, GL.GL_LINEAR),
            (GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR),
            (GL.GL_TEXTURE_WRAP_S, GL.GL_CLAMP_TO_BORDER),
            (GL.GL_TEXTURE_WRAP_T, GL.GL_CLAMP_TO_BORDER),
        ):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, name, value)
        self._unbind()


class Lamp(pyrender.SpotLight):  # type: ignore[misc]
    """A spotlight with a ShadowMap."""

    def _generate_shadow_texture(self, size: int | None = None) -> None:
        side = size or SHADOW_SIZE
        self.shadow_texture = ShadowMap(width=side, height=side, source_channels="D", data_format=GL.GL_FLOAT)


class ShaderPrograms(ShaderProgramCache):  # type: ignore[misc]
    """pyrender's shaders, with surface.glsl instead of its material shader."""

    def get_program(self, vertex_shader: str, fragment_shader: str, *rest: Any, **more: Any) -> Any:
        if fragment_shader == "mesh.frag":
            fragment_shader = str(Path(__file__).with_name("surface.glsl"))
        return super().get_program(vertex_shader, fragment_shader, *rest, **more)


class RenderPasses(Renderer):  # type: ignore[misc]
    """pyrender's passes over one mesh that casts shadows and one ground that only receives them."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self._program_cache = ShaderPrograms()
        self._in_shadow_pass = False

    def _sorted_mesh_nodes(self, scene: StudioScene) -> list[Any]:
        # Objects first, so that hidden ground is not shaded. pyrender would draw the farthest mesh first.
        return [scene.casters] if self._in_shadow_pass else [scene.casters, scene.ground]

    def _shadow_mapping_pass(self, scene: StudioScene, light_node: Any, flags: int) -> None:
        # The map contains only surfaces that face away from the lamp, so lit ones cannot shade themselves.
        self._in_shadow_pass = True
        GL.glFrontFace(GL.GL_CW)
        super()._shadow_mapping_pass(scene, light_node, flags)
        GL.glFrontFace(GL.GL_CCW)
        self._in_shadow_pass = False

    def _configure_shadow_mapping_viewport(self, light: Lamp, flags: int) -> None:
        super()._configure_shadow_mapping_viewport(light, flags)
        GL.glViewport(0, 0, SHADOW_SIZE, SHADOW_SIZE)

    def _get_light_cam_matrices(self, scene: StudioScene, light_node: Any, flags: int) -> Any:
        camera = pyrender.PerspectiveCamera(yfov=LAMP_ANGLE, znear=NEAR, zfar=FAR, aspectRatio=1.0)
        return np.linalg.inv(scene.get_pose(light_node)), camera.get_projection_matrix()

    def _bind_lighting(self, scene: StudioScene, program: Any, node: Any, flags: int) -> None:
        super()._bind_lighting(scene, program, node, flags)
        program.set_uniform("occluder_count", len(scene.occluders))
        for index, (ball, color) in enumerate(scene.occluders):
            program.set_uniform(f"occluders[{index}]", ball)
            program.set_uniform(f"occluder_colors[{index}]", color)

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
    """A pyrender scene with lamps in a fixed order: that of pyrender's set could change how sums round."""

    def __init__(self, casters: Any, ground: Any, objects: tuple[Object, ...]) -> None:
        super().__init__(bg_color=(0.6, 0.6, 0.6, 1.0))
        self.lamp_nodes: list[Any] = []
        self.casters = self.add(casters)
        self.ground = self.add(ground)
        # For each object: center and radius of a ball, and its color.
        self.occluders = [
            (np.array([*item.coords, half_height(item.kind)]), linear(item.kind.color))
            for item in objects[:OCCLUDERS]
        ]

    @property
    def light_nodes(self) -> list[Any]:
        return self.lamp_nodes


class Studio(pyrender.OffscreenRenderer):  # type: ignore[misc]
    """An OpenGL context with lamps and ground, which renders any scene. delete() releases it."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self._ground = _ground()
        self._lamps = {name: Lamp(color=color, intensity=value) for name, (color, value) in LAMPS.items()}

    def _create(self) -> None:
        super()._create()
        self._renderer = RenderPasses(self.viewport_width, self.viewport_height)

    @property
    def driver(self) -> str:
        """The name of the OpenGL driver."""
        self._platform.make_current()
        return bytes(GL.glGetString(GL.GL_RENDERER)).decode()

    def picture(self, scene: Scene) -> npt.NDArray[np.uint8]:
        """(height, width, 3) sRGB picture of a scene. Raises ValueError if it lacks objects or lamps."""
        if not scene.objects or not LAMPS.keys() <= scene.lights.keys():
            raise ValueError(
                f"scene {scene.id}: expected objects and the lamps {', '.join(LAMPS)}, got "
                f"{len(scene.objects)} objects and the lamps {', '.join(scene.lights) or '(none)'}"
            )
        camera = Camera(scene.camera, scene.width, scene.height)
        studio_scene = StudioScene(_mesh(vertices(scene.objects)), self._ground, scene.objects)
        lens = pyrender.PerspectiveCamera(
            yfov=camera.vertical_fov, aspectRatio=scene.width / scene.height, znear=1.0, zfar=2 * GROUND_REACH
        )
        studio_scene.add(lens, pose=camera.pose())
        for name, lamp in self._lamps.items():
            studio_scene.lamp_nodes.append(studio_scene.add(lamp, pose=_aimed(scene.lights[name])))
        self.viewport_width, self.viewport_height = scene.width, scene.height
        pixels: npt.NDArray[np.uint8] = self.render(studio_scene, flags=pyrender.RenderFlags.SHADOWS_SPOT)
        return pixels


def _mesh(objects: Vertices) -> Any:
    positions, normals, triangles = objects.surface
    return pyrender.Mesh([pyrender.Primitive(positions, normals, indices=triangles, color_0=objects.colors)])


def _ground() -> Any:
    reach = GROUND_REACH
    corners = [(-reach, -reach, 0), (reach, -reach, 0), (reach, reach, 0), (-reach, reach, 0)]
    return pyrender.Mesh([pyrender.Primitive(corners, [(0, 0, 1)] * 4, indices=[(0, 1, 2), (0, 2, 3)])])


def _aimed(position: Vector) -> npt.NDArray[np.float64]:
    """(4, 4) pose of a lamp that shines at the origin, the same as of a camera that looks at it."""
    return Camera(position, 1, 1).pose()
