"""Algorithm 1, line by line: which of its checks are made, and in which order."""

from __future__ import annotations

from ..exam import Exam
from .forward import check_forward
from .inputs import check_data, check_finite, check_noise, check_precision, check_time_sampling
from .learning import check_learning, check_network
from .objective import check_loss, check_target


def training_checks(exam: Exam) -> None:
    """Everything that the training calls and the networks themselves tell."""
    if exam.run.trains:
        if check_finite(exam):
            check_data(exam)
            check_noise(exam)
            check_forward(exam)
            check_target(exam)
            check_time_sampling(exam)
            check_precision(exam)
            check_loss(exam)
            check_learning(exam)
    else:
        exam.not_seen("no training call was seen", "call the network on noised data, with gradients, inside the block")
    check_network(exam)
