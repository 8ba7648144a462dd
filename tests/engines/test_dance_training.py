"""Motion transfer: where gradients flow and where not, what each part sees, baselines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.nn.motion.dance_baselines import baselines, mean_frame, nearest_pose, restlessness
from engines.nn.motion.dance_training import (
    GAP,
    Lesson,
    Pairs,
    danced,
    discriminator,
    discriminator_terms,
    generator,
    generator_terms,
    pairs_at,
    pairs_of,
    seen_by_critic,
    signed,
    split_by_time,
    starts_of,
    two_frames,
)
from engines.nn.motion.dancers import TARGET, joints, motion, render
from engines.nn.motion.stick_figures import draw_all, seventeen
from engines.nn.translation.pix2pixhd import initialise


def tiny() -> tuple[torch.nn.Module, torch.nn.Module]:
    draw = torch.Generator().manual_seed(0)
    network, critic = generator(4, 1), discriminator(4)
    for module in (network, critic):
        initialise(module, draw)
    return network, critic


def some_pairs(count: int = 2, side: int = 32) -> Pairs:
    draw = torch.Generator().manual_seed(1)
    return Pairs(*(torch.rand(count, 3, side, side, generator=draw) * 2 - 1 for _ in range(4)))


def gradients(module: torch.nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


def test_sizes_are_the_cards() -> None:
    # Card 2.7 (a): 1.09 and 0.35 million parameters.
    assert sum(p.numel() for p in generator().parameters()) == pytest.approx(1.09e6, rel=0.01)
    assert sum(p.numel() for p in discriminator().parameters()) == pytest.approx(0.35e6, rel=0.02)


def test_gradient_flows_through_the_frame_before() -> None:
    network, _ = tiny()
    pairs = some_pairs()

    def of_second(*, detached: bool) -> Tensor:
        first = network(torch.cat([pairs.x0, torch.zeros_like(pairs.x0)], 1))
        before = first.detach() if detached else first
        second = network(torch.cat([pairs.x1, before], 1))
        loss = (second - pairs.y1).abs().mean()
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, network.parameters())])

    made = two_frames(network, pairs.x0, pairs.x1, feedback=True)
    loss = (made[1] - pairs.y1).abs().mean()
    ours = torch.cat([g.flatten() for g in torch.autograd.grad(loss, network.parameters())])
    whole, cut = of_second(detached=False), of_second(detached=True)
    torch.testing.assert_close(ours, whole)
    assert (whole - cut).norm() > 1e-3 * whole.norm()


def test_without_feedback_the_second_frame_does_not_know_the_first() -> None:
    network, _ = tiny()
    x0 = some_pairs().x0.requires_grad_()
    for feedback in (True, False):
        made = two_frames(network, x0, some_pairs().x1, feedback=feedback)
        (grad,) = torch.autograd.grad(made[1].sum(), x0, allow_unused=True)
        assert (grad is not None and bool(grad.any())) is feedback


def test_generator_terms_give_the_critic_no_gradient() -> None:
    network, critic = tiny()
    pairs = some_pairs()
    for name in ("feature matching", "adversarial"):
        made = two_frames(network, pairs.x0, pairs.x1, feedback=True)
        generator_terms(critic, pairs, made)[name].backward()
        assert not gradients(critic)
        assert any(bool(g.any()) for g in gradients(network))
        network.zero_grad()


def test_discriminator_terms_give_the_generator_no_gradient() -> None:
    network, critic = tiny()
    pairs = some_pairs()
    made = two_frames(network, pairs.x0, pairs.x1, feedback=True)
    sum(discriminator_terms(critic, pairs, made).values()).backward()  # type: ignore[union-attr]
    assert not gradients(network)
    assert any(bool(g.any()) for g in gradients(critic))


def test_the_true_frames_cost_nothing_but_what_real_ones_cost() -> None:
    _, critic = tiny()
    pairs = some_pairs()
    made = torch.stack([pairs.y0, pairs.y1])
    terms = generator_terms(critic, pairs, made)
    assert terms["feature matching"] == 0
    assert terms["L1"] == 0
    against = discriminator_terms(critic, pairs, made)
    torch.testing.assert_close(terms["adversarial"], 2 * against["D real"])


def test_losses_by_hand() -> None:
    _, critic = tiny()
    pairs = some_pairs()
    made = torch.stack([pairs.y0 + 0.1, pairs.y1 - 0.3])
    terms = generator_terms(critic, pairs, made)
    assert float(terms["L1"].detach()) == pytest.approx(10 * 0.2, rel=1e-5)
    fake = critic(torch.cat([pairs.x0, pairs.x1, *made], 1))
    real = critic(torch.cat([pairs.x0, pairs.x1, pairs.y0, pairs.y1], 1))
    matching = sum(
        float((f - r).abs().mean().detach())
        for a, b in zip(fake, real, strict=True) for f, r in zip(a[:4], b[:4], strict=True)
    )  # fmt: skip
    # Two scales, 3 layers + 1: (1 / 2) (4 / 4) x 10.
    assert float(terms["feature matching"].detach()) == pytest.approx(5 * matching, rel=1e-5)
    score = sum(float((parts[-1] - 1).square().mean().detach()) for parts in fake)
    assert float(terms["adversarial"].detach()) == pytest.approx(score, rel=1e-5)


def test_the_critic_sees_figures_then_frames() -> None:
    pairs = some_pairs()
    seen = seen_by_critic(pairs, pairs.y0, pairs.y1)
    assert seen.shape == (2, 12, 32, 32)
    for i, part in enumerate((pairs.x0, pairs.x1, pairs.y0, pairs.y1)):
        torch.testing.assert_close(seen[:, 3 * i : 3 * i + 3], part)


def test_danced_clip_begins_as_a_pair_does() -> None:
    network, _ = tiny()
    pairs = some_pairs(1)
    with torch.no_grad():
        made = list(danced(network, torch.cat([pairs.x0, pairs.x1])))
        wanted = two_frames(network, pairs.x0, pairs.x1, feedback=True)
        alone = list(danced(network, torch.cat([pairs.x0, pairs.x1]), feedback=False))
    torch.testing.assert_close(torch.stack(made), wanted)
    torch.testing.assert_close(alone[0], made[0])
    assert not torch.equal(alone[1], made[1])


def clip(frames: int) -> tuple[Tensor, Tensor]:
    dance = motion(0, frames)
    return signed(draw_all(joints(TARGET, dance, 32), 32, 32)), signed(render(TARGET, dance, 32))


def taught(steps: int) -> tuple[Lesson, list[dict[str, float]]]:
    figures, frames = clip(20)
    lesson = Lesson.fresh(3, width=4)
    return lesson, [
        lesson.step(pairs_at(figures, frames, starts_of(s, (20,)))) for s in range(steps)
    ]


def test_twenty_steps_come_nearer_to_the_frames() -> None:
    _, terms = taught(20)
    first = np.mean([t["L1"] for t in terms[:3]])
    last = np.mean([t["L1"] for t in terms[-3:]])
    assert last < 0.8 * first
    assert all(np.isfinite(list(t.values())).all() for t in terms)


def test_going_on_from_a_state_is_as_if_nothing_had_stopped() -> None:
    figures, frames = clip(20)
    whole, _ = taught(4)
    half, _ = taught(2)
    again = Lesson.fresh(99, width=4)
    again.restore(half.state())
    for s in (2, 3):
        again.step(pairs_at(figures, frames, starts_of(s, (20,))))
    assert again.steps == whole.steps == 4
    for a, b in zip(again.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_pairs_are_neighbours_within_one_clip() -> None:
    drawn = {i for step in range(200) for i in starts_of(step, (3, 1, 4))}
    assert drawn == {0, 1, 4, 5, 6}  # 2, 3 and 7 are the last of their clips
    assert starts_of(5, (300,)) == starts_of(5, (300,))
    with pytest.raises(ValueError, match="no two neighbouring frames"):
        starts_of(0, (1, 1))
    figures = torch.arange(8.0).reshape(8, 1, 1, 1)
    pairs = pairs_at(figures, -figures, [4, 0])
    assert pairs.x1.flatten().tolist() == [5, 1]
    assert pairs.y0.flatten().tolist() == [-4, 0]


def test_split_by_time_leaves_a_gap() -> None:
    training, held = split_by_time(100, 0.2)
    assert (training, held) == (range(72), range(80, 100))
    assert held.start - training.stop == GAP
    with pytest.raises(ValueError, match="a clip of 18 frames is the least"):
        split_by_time(9)
    assert split_by_time(18)[0]


def test_restlessness_by_hand() -> None:
    clip = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1) * np.ones((1, 2, 2, 3), np.uint8)
    np.testing.assert_allclose(restlessness(clip), [0.2, 0.8])
    assert len(restlessness(clip[:1])) == 0


def test_baselines_by_hand() -> None:
    frames = np.stack([np.full((2, 2, 3), v, np.uint8) for v in (10, 20, 60)])
    poses = np.zeros((3, 17, 3))
    poses[..., 2] = 1
    poses[:, :, 0] = np.array([0, 10, 20])[:, None]
    driving = poses[[1, 2]] + np.array([3, 4, 0])
    made = baselines(frames, poses, driving)
    assert (made["mean frame"] == 30).all()
    assert (made["last frame"] == 60).all()
    assert made["nearest pose"][:, 0, 0, 0].tolist() == [20, 60]
    np.testing.assert_allclose(nearest_pose(driving, poses)[1], 5)
    assert mean_frame(frames).shape == (2, 2, 3)


def test_nearest_pose_counts_only_joints_that_both_have() -> None:
    poses = seventeen(joints(TARGET, motion(0, 40)))
    nearest, away = nearest_pose(poses[[7, 30]], poses)
    assert nearest.tolist() == [7, 30]
    np.testing.assert_allclose(away, 0)
    hidden = poses[[7]].copy()
    hidden[0, 9] = (np.nan, np.nan, 0)
    assert nearest_pose(hidden, poses)[0].tolist() == [7]
    unseen = np.zeros((1, 17, 3))
    assert np.isinf(nearest_pose(unseen, poses)[1]).all()
    with pytest.raises(ValueError, match="no training poses"):
        nearest_pose(unseen, poses[:0])


def test_pairs_read_from_clips_are_those_of_the_whole_clip() -> None:
    draw = np.random.RandomState(0)
    figures, frames = draw.randint(0, 256, (2, 6, 8, 8, 3)).astype(np.uint8)
    ours, whole = (
        pairs_of(figures, frames, [4, 0]),
        pairs_at(signed(figures), signed(frames), [4, 0]),
    )
    for name in ("x0", "x1", "y0", "y1"):
        torch.testing.assert_close(getattr(ours, name), getattr(whole, name), rtol=0, atol=0)
