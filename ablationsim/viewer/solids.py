"""The solids of a run as VTK has them, of which the browser draws the copies."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.report.space import Solid, Space
from ablationsim.vessels.contour import polydata
from ablationsim.zone import Surface

ISOTHERM_COLOUR = "#ff7f0e"
GROUND = "#f4f7f9"


class Solids:
    """A window of VTK that is never drawn here: its geometry travels to the browser.

    Parameters
    ----------
    space : Space
        What is seen, and from where.
    """

    def __init__(self, space: Space) -> None:
        from vtkmodules.vtkRenderingCore import vtkRenderer

        # This kind of window asks nothing of the computer, which need not be able to draw.
        from vtkmodules.vtkRenderingOpenGL2 import vtkGenericOpenGLRenderWindow

        self.window: Any = vtkGenericOpenGLRenderWindow()
        self._renderer = vtkRenderer()
        self._renderer.SetBackground(*_rgb(GROUND))
        self.window.AddRenderer(self._renderer)
        # The outermost last: translucent solids are drawn in this order.
        self._actors = {solid.name: self._added(solid) for solid in space.solids}
        speck = Solid("isotherm", np.tile(space.centre, (3, 1)), np.array([[0, 1, 2]]), ISOTHERM_COLOUR, 0.55, False)
        self._isotherm = self._added(speck)
        self._look(space)

    def show(self, names: Collection[str]) -> None:
        """Show the solids of some names and no other."""
        for name, actor in self._actors.items():
            actor.SetVisibility(name in names)

    def set_isotherm(self, surface: Surface | None) -> None:
        """Show a surface, in mm, as the isotherm; None for none."""
        shown = surface is not None and len(surface.facets) > 0
        self._isotherm.SetVisibility(shown)
        if surface is not None and shown:
            triangles = surface.facets.astype(np.int64)
            self._isotherm.GetMapper().SetInputData(_smooth(surface.points, triangles))

    def _look(self, space: Space) -> None:
        camera = self._renderer.GetActiveCamera()
        camera.SetFocalPoint(*space.centre)
        camera.SetPosition(*(space.centre + 4.0 * space.height * space.eye))
        camera.SetViewUp(*space.up)
        camera.ParallelProjectionOn()
        camera.SetParallelScale(0.5 * space.height)
        self._renderer.ResetCameraClippingRange()

    def _added(self, solid: Solid) -> Any:
        from vtkmodules.util.numpy_support import numpy_to_vtk
        from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

        mesh = _smooth(solid.points, solid.triangles)
        if solid.colours is not None:
            colours = numpy_to_vtk(np.ascontiguousarray(solid.colours), deep=True)
            colours.SetName("colours")
            mesh.GetPointData().SetScalars(colours)
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(mesh)
        mapper.SetScalarVisibility(solid.colours is not None)
        mapper.SetColorModeToDirectScalars()
        actor = vtkActor()
        actor.SetMapper(mapper)
        actor.SetVisibility(solid.shown)
        look = actor.GetProperty()
        look.SetColor(*_rgb(solid.colour))
        look.SetOpacity(solid.opacity)
        look.SetAmbient(0.25)
        look.SetDiffuse(0.75)
        look.SetSpecular(0.1)
        self._renderer.AddActor(actor)
        return actor


def _smooth(points: NDArray[np.float64], triangles: NDArray[np.int64]) -> Any:
    """A surface with normals at its points, so that its triangles do not show."""
    from vtkmodules.vtkFiltersCore import vtkPolyDataNormals

    normals = vtkPolyDataNormals()
    normals.SetInputData(polydata(points.astype(np.float32), triangles))
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    return normals.GetOutput()


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
