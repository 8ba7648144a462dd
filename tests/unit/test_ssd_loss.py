"""Matching, hard negative mining and the loss of SSD on eight boxes, by hand."""

from __future__ import annotations

import math

import torch

from engines.nn.one_stage.ssd_loss import UNMATCHED, match, mine, objective

# Eight squares of side 10 in a row, 10 apart; the last two are moved and enlarged.
PRIORS = torch.tensor(
    [
        [0, 0, 10, 10],
        [10, 0, 20, 10],
        [20, 0, 30, 10],
        [30, 0, 40, 10],
        [40, 0, 50, 10],
        [50, 0, 60, 10],
        [1, 0, 11, 10],
        [30, 0, 50, 10],
    ],
    dtype=torch.float32,
)


def test_a_truth_has_its_best_prior_however_small_the_overlap() -> None:
    truth = torch.tensor([[0.0, 0, 10, 10], [24, 4, 26, 6]])  # the second: IoU 4 / 100 with prior 2
    found = match(truth, PRIORS)
    # Prior 6 overlaps truth 0 by 90 / 110 = 0.82; prior 1 does not reach 0.5.
    assert found.tolist() == [0, UNMATCHED, 1, UNMATCHED, UNMATCHED, UNMATCHED, 0, UNMATCHED]


def test_the_best_prior_of_a_truth_is_not_taken_over_by_one_it_overlaps_more() -> None:
    # Prior 7 is the best prior of both: of truth 0 with IoU 0.9, of truth 1 with 120 / 200 = 0.6,
    # but truth 1 alone would lose it to truth 0 by the threshold rule.
    truth = torch.tensor([[30.0, 0, 48, 10], [34, 0, 46, 10]])
    assert match(truth, PRIORS)[7] == 1
    assert match(truth.flip(0), PRIORS)[7] == 1  # the later one keeps it


def test_an_overlap_of_exactly_the_threshold_is_background() -> None:
    truth = torch.tensor([[30.0, 0, 40, 10]])  # prior 3 itself; IoU with prior 7 is 100 / 200
    assert match(truth, PRIORS)[7] == UNMATCHED
    assert match(truth, PRIORS, threshold=0.49)[7] == 0


def test_without_truth_or_with_one_that_touches_nothing_all_is_background() -> None:
    assert match(torch.zeros(0, 4), PRIORS).tolist() == [UNMATCHED] * 8
    assert match(torch.tensor([[100.0, 100, 110, 110]]), PRIORS).tolist() == [UNMATCHED] * 8
    assert match(torch.tensor([[5.0, 5, 5, 5]]), PRIORS).tolist() == [UNMATCHED] * 8


def test_the_hardest_negatives_are_mined_three_for_one() -> None:
    loss = torch.tensor([[9.0, 0.1, 0.8, 0.3, 0.7, 0.2, 0.6, 0.5]])
    positive = torch.tensor([[True] + [False] * 7])
    assert mine(loss, positive)[0].nonzero()[:, 0].tolist() == [2, 4, 6]
    assert mine(loss, positive, ratio=1)[0].nonzero()[:, 0].tolist() == [2]
    assert mine(loss, positive, ratio=100)[0].sum() == 7, "never more than there are"
    assert not mine(loss, torch.zeros_like(positive)).any()


def test_each_picture_mines_for_itself() -> None:
    loss = torch.tensor([[1.0, 5, 4, 3, 2, 1, 1, 1], [1.0, 9, 9, 9, 9, 9, 9, 9]])
    positive = torch.zeros(2, 8, dtype=torch.bool)
    positive[0, 0] = True
    chosen = mine(loss, positive)
    assert chosen.sum(1).tolist() == [3, 0]


def test_the_loss_of_eight_boxes_by_hand() -> None:
    # One truth equal to prior 0, moved by 1 px in x: dx = 10 * 0.1 = 1 for prior 0; prior 6 is the
    # truth itself. Offsets are all 0, logits all equal but for two negatives.
    truth, labels = torch.tensor([[1.0, 0, 11, 10]]), torch.tensor([2])
    logits = torch.zeros(1, 8, 3)
    logits[0, 4, 0] = -1.0  # a hard negative: its background is unlikely
    logits[0, 5, 0] = 4.0  # an easy one
    matched = objective(logits, torch.zeros(1, 8, 4), PRIORS, [truth], [labels])
    assert matched.positive[0].nonzero()[:, 0].tolist() == [0, 6]
    even = math.log(3)
    hard = math.log(1 + 2 * math.e)
    # six negatives for two positives: all of them, the easy one included
    easy = math.log(1 + 2 * math.exp(-4))
    assert matched.negative.sum() == 6
    expected = (2 * even + hard + easy + 4 * even) / 2
    assert math.isclose(float(matched.confidence), expected, rel_tol=1e-6)
    assert math.isclose(float(matched.location), 0.5 * 1.0**2 / 2, rel_tol=1e-6)  # beta is 1


def test_logits_of_negatives_that_are_not_mined_do_not_count() -> None:
    truth, labels = torch.tensor([[10.0, 0, 20, 10]]), torch.tensor([1])
    logits = torch.randn(1, 8, 3, generator=torch.Generator().manual_seed(1))
    before = objective(logits, torch.zeros(1, 8, 4), PRIORS, [truth], [labels])
    left = ~(before.positive | before.negative)[0]
    assert left.sum() == 4
    moved = logits.clone()
    moved[0, left, 1:] -= 5.0  # surer that they are background
    after = objective(moved, torch.zeros(1, 8, 4), PRIORS, [truth], [labels])
    assert float(after.confidence) == float(before.confidence)
    assert after.negative.tolist() == before.negative.tolist()


def test_no_positives_no_loss() -> None:
    logits = torch.randn(2, 8, 3, requires_grad=True)
    empty = [torch.zeros(0, 4)] * 2
    matched = objective(
        logits, torch.zeros(2, 8, 4), PRIORS, empty, [torch.zeros(0, dtype=torch.long)] * 2
    )
    assert float(matched.confidence.detach()) == 0.0
    assert float(matched.location) == 0.0
