"""Stages of plain steps along a gradient: FGSM's, and steps whose length falls along a cosine."""

from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.runs import JudgedRun
from art_domainrand.attacks.engine.stage import Stage, Start
from art_domainrand.attacks.engine.steps import PGDSteps, as_size


def stepping_stage(name: str, balls: Balls, loss: object, share: float, max_iter: int, start: Start) -> Stage:
    """Steps along the gradient of ``loss``, the first of ``share`` times eps; a single one is FGSM.

    :param start: where to start.
    """
    inputs, one = balls.inputs, max_iter == 1
    return Stage(
        name=name,
        way=JudgedRun,
        around=balls.around,
        criterion=lambda which: inputs.criterion(which, loss),
        steps=lambda ball, mask, which: PGDSteps(
            ball, mask, as_size(ball.eps, ball.x) * share, cosine_over=None if one else max_iter
        ),
        start=start,
        max_iter=max_iter,
        # FGSM moves everyone, also who is misclassified already: a trainer wants images that are attacked.
        early_stop=not one,
    )
