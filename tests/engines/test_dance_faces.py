"""FaceGAN: where the crop lies, what the residual may change, who learns and who does not."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engines.motion.dance_views import Film, critic_views, face_views
from engines.nn.motion.dance_faces import (
    FaceLesson,
    Faces,
    critic_terms,
    cropped,
    face_side,
    face_terms,
    faces_of,
    with_face,
)
from engines.nn.motion.dance_learning import boxes_of, faced
from engines.nn.motion.dance_network import Dancer, face_discriminator, face_generator
from engines.nn.motion.dance_training import pairs_at, signed
from engines.nn.motion.dancers import TARGET, joints, motion, render
from engines.nn.motion.stick_figures import draw_all, seventeen
from engines.nn.translation.pix2pixhd import initialise
from explorer.kinds import Field, Image, Matrix


def person(nose: tuple[float, float], toes: float | None, ears: float | None) -> np.ndarray:
    pose = np.zeros((17, 3))
    pose[0] = (*nose, 1)
    if ears is not None:
        pose[3] = (nose[0] - ears / 2, nose[1], 1)
        pose[4] = (nose[0] + ears / 2, nose[1], 1)
    if toes is not None:
        pose[15] = (nose[0], toes, 1)
    return pose


def test_side_of_the_crop_by_hand() -> None:
    # 2.2 x 10 = 22 and 0.3 x 60 = 18 go up to 24; a quarter of 64 is 16.
    assert face_side([person((30, 20), 80, 10)] * 3, 128, 96) == 24
    assert face_side([person((30, 20), 80, None)] * 3, 128, 96) == 24
    assert face_side([person((30, 20), None, None)], 64, 96) == 16
    assert face_side([person((30, 20), None, 80)], 72, 88) == 72
    assert face_side([person((30, 20), None, 1)], 72, 88) == 8


def test_the_crop_lies_around_the_head_and_within_the_picture() -> None:
    poses = np.stack([
        person((30, 20), None, 10), person((2, 1), None, None), person((94, 126), None, None),
        np.zeros((17, 3)),
    ])  # fmt: skip
    found = faces_of(poses, 128, 96, 24)
    assert found.corners[:3].tolist() == [[18, 8], [0, 0], [72, 104]]
    assert found.seen.tolist() == [True, True, True, False]
    frames = np.arange(4 * 128 * 96 * 3).reshape(4, 128, 96, 3).astype(np.uint8)
    crops = boxes_of(frames, found)
    np.testing.assert_array_equal(crops[0], frames[0, 8:32, 18:42])
    assert len(crops) == 3
    ours = cropped(signed(frames[:3]), found.corners[:3], 24)
    torch.testing.assert_close(ours, signed(crops))


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 6
        return torch.full_like(x[:, :3], self.value)


@pytest.mark.parametrize(("value", "wanted"), [(0.25, 0.75), (0.75, 1.0), (-1.75, -1.0)])
def test_nothing_outside_the_crop_changes_and_colours_stay_colours(
    value: float, wanted: float
) -> None:
    frame = torch.full((1, 3, 20, 30), 0.5)
    whole, residual = with_face(Constant(value), frame, frame, (11, 3), 8)
    assert residual.shape == (1, 3, 8, 8)
    assert (whole[:, :, 3:11, 11:19] == wanted).all()
    changed = (whole != frame).any(1)[0]
    assert int(changed.sum()) == 64
    assert (frame == 0.5).all(), "the frame that is fed back is the uncorrected one"
    film = np.full((2, 20, 30, 3), 191, np.uint8)
    where = Faces(np.array([(11, 3), (0, 0)]), np.array([True, False]), 8)
    after = faced(Constant(value), film, film, where, torch.device("cpu"))
    assert (after[0, 3:11, 11:19] != 191).all()
    np.testing.assert_array_equal(after[1], film[1])


def crops(count: int = 3) -> list[Tensor]:
    draw = torch.Generator().manual_seed(2)
    return [torch.rand(count, 3, 16, 16, generator=draw) * 2 - 1 for _ in range(3)]


def small() -> tuple[nn.Module, nn.Module]:
    draw = torch.Generator().manual_seed(0)
    face, critic = face_generator(4, 1), face_discriminator(4)
    for module in (face, critic):
        initialise(module, draw)
    return face, critic


def test_each_side_gets_only_its_own_gradient() -> None:
    face, critic = small()
    figure, true, crop = crops()
    after = crop + face(torch.cat([figure, crop], 1))
    sum(face_terms(critic, figure, true, after).values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is None for p in critic.parameters())
    assert all(p.grad is not None for p in face.parameters())
    face.zero_grad(set_to_none=True)
    after = crop + face(torch.cat([figure, crop], 1))
    sum(critic_terms(critic, figure, true, after).values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is None for p in face.parameters())
    assert any(bool(p.grad.any()) for p in critic.parameters() if p.grad is not None)


def test_terms_by_hand() -> None:
    _, critic = small()
    figure, true, _ = crops()
    terms = face_terms(critic, figure, true, true + 0.2)
    assert float(terms["face, L1"].detach()) == pytest.approx(50 * 0.2, rel=1e-4)
    critic.eval()  # batch norms by running statistics: each crop is judged alone
    scores = [critic(torch.cat([figure, y], 1))[0][-1] for y in (true, true + 0.2)]
    against = critic_terms(critic, figure, true, true + 0.2)
    assert float(against["D true face"].detach()) == pytest.approx(
        0.5 * float(((scores[0] - 1) ** 2).mean().detach())
    )
    assert float(against["D made face"].detach()) == pytest.approx(
        0.5 * float((scores[1] ** 2).mean().detach())
    )


def taught(steps: int) -> tuple[Dancer, Dancer, list[dict[str, float]]]:
    torch.set_num_threads(1)
    dancer = Dancer(width=4, blocks=1)
    dancer.start(torch.Generator().manual_seed(0))
    before = copy.deepcopy(dancer)
    dance = motion(0, 12)
    poses = seventeen(joints(TARGET, dance))
    figures, frames = signed(draw_all(poses, 64, 64)), signed(render(TARGET, dance))
    side = face_side(poses, 64, 64)
    assert side == 16
    where = faces_of(poses, 64, 64, side)
    lesson = FaceLesson(dancer, rate=2e-3)
    starts = [0, 3, 6, 9]
    corners = np.stack([where.corners[starts], where.corners[[s + 1 for s in starts]]])
    terms = [lesson.step(pairs_at(figures, frames, starts), corners, side) for _ in range(steps)]
    return before, dancer, terms


def test_only_the_face_learns_and_it_comes_nearer() -> None:
    before, dancer, terms = taught(25)
    assert terms[-1]["face, L1"] < 0.6 * terms[0]["face, L1"]
    for name in ("generator", "discriminator"):
        old, new = before.get_submodule(name), dancer.get_submodule(name)
        for a, b in zip(old.parameters(), new.parameters(), strict=True):
            assert torch.equal(a, b)
            assert b.grad is None
    for name in ("face", "face_discriminator"):
        old, new = before.get_submodule(name), dancer.get_submodule(name)
        pairs = zip(old.parameters(), new.parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in pairs)


def film_of(frames: np.ndarray, figures: np.ndarray) -> Film:
    film = Film()
    for frame, figure in zip(signed(frames), figures, strict=True):
        one = frame[None]
        residual = torch.full((1, 3, 16, 16), 0.2)
        film.add(figure, signed(figure[None]), one, torch.cat([one, one]), one, residual)
    return film


def test_true_frames_are_judged_as_true_and_others_are_not() -> None:
    dancer = Dancer(width=4, blocks=1)
    dancer.start(torch.Generator().manual_seed(5))
    dance = motion(0, 2)
    truth, poses = render(TARGET, dance), seventeen(joints(TARGET, dance))
    figures = draw_all(poses, 64, 64)
    same = list(critic_views(dancer.discriminator, film_of(truth, figures), truth, 1))
    maps = {a.item: a.values for a in same if isinstance(a, Field)}
    for scale in ("full size", "half size"):
        np.testing.assert_allclose(maps[f"made, {scale}"], maps[f"true, {scale}"], atol=1e-5)
    (table,) = (a for a in same if isinstance(a, Matrix))
    assert table.values.shape == (2, 4)
    assert np.abs(table.values).max() < 1e-5
    darker = film_of((truth * 0.7).astype(np.uint8), figures)
    other = list(critic_views(dancer.discriminator, darker, truth, 1))
    (table,) = (a for a in other if isinstance(a, Matrix))
    assert (table.values > 1e-4).all()
    np.testing.assert_array_equal(
        next(a.values for a in other if a.item == "true, full size"), maps["true, full size"]
    )


def test_the_face_is_shown_before_and_after_with_what_was_added() -> None:
    dance = motion(0, 1)
    truth, poses = render(TARGET, dance), seventeen(joints(TARGET, dance))
    film = film_of(truth, draw_all(poses, 64, 64))
    where = faces_of(poses, 64, 64, 16)
    x, y = where.corners[0]
    shown = {a.item: a for a in face_views(film, where, 0, truth[0], 0)}
    before, residual = shown["1 generated"], shown["2 residual"]
    assert isinstance(before, Image)
    np.testing.assert_array_equal(before.image, truth[0, y : y + 16, x : x + 16])
    assert before.note.startswith("PSNR 99.0 dB, SSIM 1.00")
    assert isinstance(residual, Field)
    assert residual.scale == "diverging"
    np.testing.assert_allclose(residual.values, 0.2 * 127.5, rtol=1e-5)
