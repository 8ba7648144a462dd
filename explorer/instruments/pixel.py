"""One pixel through everything: its hypercolumn, what it can see, and which pixels are like it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from explorer.core.instruments import Instrument, Taken
from explorer.core.layers import Layer
from explorer.core.studies.colouring import (
    Clusters,
    as_colours,
    colour_limits,
    kmeans,
    nearest,
    principal_axes,
    projections,
)
from explorer.core.studies.hypercolumns import (
    Hypercolumns,
    Raster,
    even_scales,
    hypercolumn,
    similarity,
)
from explorer.instruments.map_layers import (
    chosen_layers,
    maps_of,
    picture_of,
    placed_maps,
    raster_over,
)
from explorer.instruments.pixel_views import (
    Maps,
    cell_lines,
    cluster_picture,
    heat_over,
    numpy_of,
    pixels_of,
    receptive_box,
    with_cross,
)
from explorer.kinds import Array, Artefact, Boxes, Curve, Field, Hypercolumn, Image, Text
from explorer.params import knob

HELD = "pixel/like it in the held picture"


@dataclass(frozen=True, slots=True)
class PixelParams:
    """Knobs of the pixel instrument; none of them runs the network but ``layers``."""

    cursor: tuple[float, float] | None = knob(
        None, kind="point", effect="again", help="pixel of the input; follows the mouse"
    )
    layers: str = knob("", help="layers of the hypercolumn, with commas; empty: one of each size")
    count: int = knob(5, low=1, high=8, unit="layers", help="how many, where none are named")
    alike: bool = knob(
        True, effect="again", help="give all layers the same weight, not the loudest the most"
    )
    centred: bool = knob(
        True, effect="again", help="compare what differs from the mean hypercolumn of the picture"
    )
    colouring: str = knob(
        "principal axes", choices=("principal axes", "k-means", "none"), effect="again",
        help="what colours the hypercolumns of all pixels",
    )  # fmt: skip
    clusters: int = knob(6, low=2, high=8, when="colouring=k-means", effect="again")
    seed: int = knob(0, kind="seed", low=0, high=2**31, when="colouring=k-means", effect="again")
    detail: int = knob(
        224, low=32, high=448, step=8, unit="px", effect="again",
        help="longer side of the likeness; colours have half of it",
    )  # fmt: skip
    hold: bool = knob(False, effect="again", help="keep this picture, to compare with the next one")
    layer: str = knob("", effect="again", help="layer of the Gram row; follows the window")
    unit: int | None = knob(
        None, kind="integer", low=0, effect="again",
        help="unit of the Gram row; none: the strongest at the pixel",
    )  # fmt: skip


@dataclass(slots=True)
class _Sight:
    """One pass as it was captured, and what has been computed of it so far."""

    maps: Maps
    picture: Array | None
    name: str
    fine: Hypercolumns
    detail: int
    _coarse: Hypercolumns | None = None

    @property
    def raster(self) -> Raster:
        return self.fine.raster

    @property
    def coarse(self) -> Hypercolumns:
        """Of every second pixel, for what asks again and again for products; made when asked."""
        if self._coarse is None:
            half = raster_over(self.maps, _size(self.picture), max(1, self.detail // 2))
            fine = self.fine
            self._coarse = Hypercolumns(fine.maps, fine.affines, half, fine.scales)
        return self._coarse


class Pixel(Instrument[PixelParams]):
    """Follows the cursor through the layers."""

    name = "pixel"
    Params: ClassVar[type[Any]] = PixelParams

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._sight: _Sight | None = None
        self._coloured: tuple[Any, ...] = ()
        self._held: _Sight | None = None
        self._compared = False

    def points(self, params: PixelParams, layers: Sequence[Layer]) -> tuple[str, ...]:
        """The layers of the hypercolumn, and that of the Gram row."""
        names = chosen_layers(params.layers, params.count, layers)
        row = chosen_layers(params.layer, 1, layers) if params.layer else ()
        return tuple(dict.fromkeys([*names, *row]))

    def look(self, taken: Taken, params: PixelParams) -> Iterator[Artefact]:
        """What depends on the cursor at every call, the colouring when something else changed."""
        sight, fresh = self._seen(taken, params)
        if sight is None:
            if not any(la.called for la in taken.layers):
                return  # not even the shapes are known yet
            yield Text("pixel/hypercolumn", "No layer of this network has rows and columns.")
            return
        raster = sight.raster
        x, y = params.cursor or raster.affine.to_input(raster.width / 2, raster.height / 2)
        yield self._column(sight, params, x, y)
        yield self._alike(sight, params, x, y)
        yield from _fields(sight, x, y)
        wanted = (params.colouring, params.clusters, params.seed)
        if fresh or wanted != self._coloured:
            self._coloured = wanted
            yield self._colours(sight, params)
        yield self._gram_row(taken, sight, params, x, y)
        yield Text("pixel/cells", "\n".join(cell_lines(sight.maps, x, y)))
        if self._held is not None:
            yield self._alike_in_held(self._held, sight, params, x, y)
        elif self._compared:
            yield Text(HELD, "Nothing is held any more.")
        self._compared = self._held is not None

    # -- what is seen

    def _seen(self, taken: Taken, params: PixelParams) -> tuple[_Sight | None, bool]:
        """The hypercolumns of this pass; kept while nothing but the cursor changes."""
        names = chosen_layers(params.layers, params.count, taken.layers)
        tensors = {n: taken.tensors[n] for n in names if n in taken.tensors}
        # The capture writes every pass into the same buffers: the version tells them apart.
        buffers = tuple((n, t.data_ptr(), t._version) for n, t in tensors.items())
        key = (taken.run, taken.frame, buffers, params.detail, params.alike, params.hold)
        if key == self._key:
            return self._sight, False
        self._key, self._sight = key, None
        photo = picture_of(taken.inputs)
        pixels = photo.pixels if photo is not None else None
        maps = placed_maps(tensors, taken.places, _size(pixels))
        if maps:
            name = photo.name if photo is not None else ""
            self._sight = self._beside_held(maps, pixels, name, params)
        return self._sight, True

    def _beside_held(
        self, maps: Maps, pixels: Array | None, name: str, params: PixelParams
    ) -> _Sight:
        """The present pass; the first while ``hold`` is on is kept, and gives both their scales."""
        held = self._held
        if not params.hold or (held is not None and list(held.maps) != list(maps)):
            held = None
        source = [m for m, _ in (held.maps if held is not None else maps).values()]
        scales = even_scales(source) if params.alike else [1.0] * len(source)
        sight = _sight(maps, pixels, name, scales, params.detail)
        if held is not None:
            self._held = _sight(held.maps, held.picture, held.name, scales, params.detail)
        elif params.hold:
            copies = {n: (m.clone(), place) for n, (m, place) in maps.items()}
            self._held = _sight(copies, pixels, name, scales, params.detail)
        else:
            self._held = None
        return sight

    # -- what is shown

    def _column(self, sight: _Sight, params: PixelParams, x: float, y: float) -> Hypercolumn:
        values = sight.fine.at(x, y)
        layers = [(name, len(maps)) for name, (maps, _) in sight.maps.items()]
        about = (
            "approximate places"
            if any(p.affine.approximate for _, p in sight.maps.values())
            else ""
        )
        unit = "× rms" if params.alike else ""
        return Hypercolumn(
            "pixel/hypercolumn", numpy_of(values), layers, (x, y), unit=unit, note=about
        )

    def _alike(self, sight: _Sight, params: PixelParams, x: float, y: float) -> Field:
        origin = sight.fine.mean() if params.centred else None
        found = similarity(sight.fine, sight.fine.at(x, y), origin)
        what = "of the differences from the mean, " if params.centred else ""
        return Field(
            "pixel/like this pixel", numpy_of(found), affine=sight.raster.affine, unit="cosine",
            note=f"cosine {what}of {len(sight.maps)} layers, exact",
        )  # fmt: skip

    def _alike_in_held(
        self, held: _Sight, sight: _Sight, params: PixelParams, x: float, y: float
    ) -> Image:
        origin = sight.fine.mean() if params.centred else None
        found = similarity(held.fine, sight.fine.at(x, y), origin)
        peak = int(found.argmax())
        row, column = divmod(peak, held.raster.width)
        px, py = held.raster.centre(peak)
        heat = heat_over(numpy_of(found), pixels_of(held.raster, held.picture))
        return Image(
            HELD, with_cross(heat, row, column)[None],  # a batch of one: not in this input's pixels
            note=f"{held.name or 'held'}: most alike at x {px:.1f}, y {py:.1f}, "
            f"cosine {float(found.max()):.3f}",
        )  # fmt: skip

    def _gram_row(
        self, taken: Taken, sight: _Sight, params: PixelParams, x: float, y: float
    ) -> Artefact:
        """A row of the Gram matrix, and the products of this pixel that are averaged in it."""
        name = params.layer if params.layer in taken.tensors else list(sight.maps)[-1]
        maps = maps_of(taken.tensors[name])
        if maps is None:
            return Text("pixel/Gram row", f"{name} has no rows and columns: choose another layer.")
        found = placed_maps({name: taken.tensors[name]}, taken.places, _size(sight.picture))
        (column,) = hypercolumn([maps], [found[name][1].affine], x, y)
        unit = int(column.abs().argmax()) if params.unit is None else params.unit
        unit = min(unit, len(column) - 1)
        flat = maps.flatten(1).float()
        row = flat @ flat[unit] / flat.shape[1]
        why = "strongest here" if params.unit is None else "chosen"
        return Curve(
            "pixel/Gram row", np.arange(len(column)),
            np.stack([numpy_of(column[unit] * column), numpy_of(row)]),
            series=("this pixel", "mean over all positions"), x_label="unit",
            note=f"{name}, row of unit {unit} ({why}): f[{unit}] f[j]; the mean is the Gram matrix",
        )  # fmt: skip

    def _colours(self, sight: _Sight, params: PixelParams) -> Artefact:
        if params.colouring == "none":
            return Text("pixel/colours", "The knob colouring is on none.")
        if not bool(sight.coarse.squares().isfinite().all()):
            return Text("pixel/colours", "Some layer holds values that are not finite.")
        return (
            self._clusters(sight, params)
            if params.colouring == "k-means"
            else (self._principal(sight))
        )

    def _principal(self, sight: _Sight) -> Image:
        base = self._held or sight
        axes = principal_axes(base.coarse, rounds=12, within=1e-3)
        limits = colour_limits(projections(base.coarse, axes))
        picture = as_colours(projections(sight.coarse, axes), limits)
        shares = [float(v) / max(axes.total, 1e-30) for v in axes.variances]
        words = " + ".join(f"{100 * share:.0f} %" for share in shares)
        of = f"axes of {base.name or 'the held picture'}; " if self._held is not None else ""
        return Image(
            "pixel/colours", picture.cpu().numpy(), affine=sight.coarse.raster.affine,
            note=f"{of}principal axes in red, green, blue: {words} of the variance "
            f"of {base.coarse.count} hypercolumns",
        )  # fmt: skip

    def _clusters(self, sight: _Sight, params: PixelParams) -> Image:
        base = self._held or sight
        found: Clusters = kmeans(base.coarse, params.clusters, seed=params.seed)
        labels = found.labels if base is sight else nearest(sight.coarse, found.centres)
        shares = labels.flatten().bincount(minlength=params.clusters) / sight.coarse.count
        words = ", ".join(f"{100 * share:.0f} %" for share in shares.tolist())
        of = f"centres of {base.name or 'the held picture'}; " if self._held is not None else ""
        return Image(
            "pixel/colours", cluster_picture(labels.cpu().numpy()),
            affine=sight.coarse.raster.affine,
            note=f"{of}k-means of {base.coarse.count} hypercolumns, {found.rounds} rounds: {words}",
        )  # fmt: skip


def _fields(sight: _Sight, x: float, y: float) -> Iterator[Artefact]:
    boxes = {n: receptive_box(m, place, x, y) for n, (m, place) in sight.maps.items()}
    known = {name: box for name, box in boxes.items() if box is not None}
    if sight.picture is not None:
        yield Image("pixel/receptive fields", sight.picture, note="what each layer sees here")
    yield Boxes(
        "pixel/fields", np.array(list(known.values()), np.float32).reshape(-1, 4),
        labels=[f"{n} {b[2] - b[0]:.0f} × {b[3] - b[1]:.0f} px" for n, b in known.items()],
    )  # fmt: skip


def _sight(
    maps: Maps, pixels: Array | None, name: str, scales: Sequence[float], detail: int
) -> _Sight:
    size = _size(pixels)
    values, affines = [m for m, _ in maps.values()], [p.affine for _, p in maps.values()]
    fine = Hypercolumns(values, affines, raster_over(maps, size, detail), scales)
    return _Sight(maps, pixels, name, fine, detail)


def _size(pixels: Array | None) -> tuple[int, int] | None:
    return None if pixels is None else (pixels.shape[0], pixels.shape[1])
