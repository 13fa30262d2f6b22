"""A model that randomizes its own input while it is trained."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.checks import Text, require
from art_domainrand.preprocessors.base import Clip
from art_domainrand.preprocessors.domain_randomization import DomainRandomization
from art_domainrand.randomization.core.pipeline import Item


class RandomizedModule(nn.Module):
    """``model`` behind a random version of its input in training mode, and ``model`` itself in evaluation mode.

    :func:`randomized` makes it. A copy, by ``deepcopy`` or ``pickle``, draws from a stream of its own.

    :param model: the wrapped model: its parameters are called "model...." here, and ``module.model.state_dict()`` are
        the weights as the bare model saves and loads them; randomization adds no entry.
    :param randomization: what draws; its ``replay`` holds a draw here too.
    """

    def __init__(self, model: nn.Module, randomization: DomainRandomization) -> None:
        super().__init__()
        self.model = model
        self.randomization = randomization
        self.training = model.training

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """The output of ``model``.

        :param x: images (B, C, H, W) or (B, H, W, C), or videos.
        :param args: go to ``model`` as they are.
        :param kwargs: go to ``model`` as they are.
        """
        return self.model(self.randomization.forward(x)[0] if self.training else x, *args, **kwargs)

    def extra_repr(self) -> str:
        return f"randomization={self.randomization!r}"


@suggesting_names
def randomized(
    model: nn.Module,
    pipeline: Item,
    *,
    clip_values: tuple[Any, Any] = (0, 1),
    channels_first: bool = True,
    seed: int | None = None,
    clip: Clip = "straight_through",
) -> RandomizedModule:
    """Make ``model`` randomize its input, with a fresh draw at every forward pass, in training mode only.

    For trainers that never call preprocessors, ART's (``PyTorchClassifier.fit_generator`` skips them) and any other:
    whatever calls ``model.train()`` before its training step gets randomized training, and predictions and attacks,
    which run in evaluation mode, see the bare model. ART's ``fit``, which runs preprocessors once before the first
    epoch, draws afresh for each batch this way. ART's fast trainer (``AdversarialTrainerFBFPyTorch``) trains in
    evaluation mode, and its certified trainers convert a model layer by layer: give those a
    :class:`DomainRandomization` as ``preprocessing_defences`` instead.

    :param model: a module that takes images first.
    :param pipeline: a :class:`Pipeline`, or what one is made from.
    :param clip_values: the smallest and the largest value that reaches the module: pixel values, or what ART's
        ``preprocessing=(mean, std)`` makes of them, (0 - mean) / std and (1 - mean) / std, as arrays of shape (C, 1, 1)
        if there is one for each channel.
    :param channels_first: whether images are (C, H, W) rather than (H, W, C).
    :param seed: an int >= 0 makes every run draw the same; None takes fresh entropy.
    :param clip: "straight_through", "hard" or None, see :class:`DomainRandomization`.

    :raises ValueError: for what is no module. ``forward`` raises it, in training mode, for images that
        :class:`DomainRandomization` refuses.

    Gradients flow to the images and the parameters; the optimizer may hold the parameters of ``model`` or of the
    result.
    """
    require(isinstance(model, nn.Module), "model", "be a torch.nn.Module", Text(type(model).__name__))
    randomization = DomainRandomization(
        pipeline, clip_values=clip_values, channels_first=channels_first, seed=seed, clip=clip
    )
    return RandomizedModule(model, randomization)
