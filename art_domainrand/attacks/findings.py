"""What an attack on the domain found: images, the draws that made them, and how bad they are; and the finding."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from art.config import ART_NUMPY_DTYPE
from torch import Tensor

from art_domainrand.attacks.engine.config import Config
from art_domainrand.attacks.engine.draw_stage import Solve, stage_of
from art_domainrand.attacks.engine.gradient_attack import ordinary_autograd
from art_domainrand.attacks.engine.inputs import prepare, with_predictions
from art_domainrand.attacks.engine.search import search
from art_domainrand.attacks.engine.space import CountingGradients
from art_domainrand.core.checks import Text, require
from art_domainrand.core.checks import images as checked_images
from art_domainrand.estimators import is_device_estimator, open_estimator
from art_domainrand.estimators.explaining import explained
from art_domainrand.preprocessors import DomainRandomization
from art_domainrand.randomization.core.coordinates import described, physical_values
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.serialize import from_dict, to_dict


@dataclass(frozen=True, eq=False, repr=False)
class Findings:
    """The worst domain found for each of N images.

    :param images: What the model is to be shown, (N, ...): an array if the attack was given one, else a tensor.
    :param draw: The :class:`Draw` of each image, on the CPU: :meth:`replay` makes the images from it, bit for bit (on
        the kind of device that the attack ran on, GPU or CPU, where there is one).
    :param margins: (N,) best other score minus the score of the label; for a targeted attack the score of the target
        minus the best other one. The larger, the worse for the model.
    :param fooled: (N,) whether the predicted class is not the label, or is the target.
    :param randomization: The pipeline, in the layout and range of the estimator's images.
    :param forwards: How many images went forward through the model, for all N together.
    :param backwards: How many gradients of images were taken.
    :param delta: For attacks that change pixels too: what was added, (N, ...), in float64, where it is exact: the image
        plus ``delta``, rounded to float32, is the perturbed image to the bit. None otherwise.
    :param added: Whether ``delta`` was added "before" or "after" the randomization; None without.
    """

    images: Any
    draw: Draw
    margins: Any
    fooled: Any
    randomization: DomainRandomization
    forwards: int
    backwards: int
    delta: Any = None
    added: str | None = None

    def __len__(self) -> int:
        return len(self.draw)

    def __repr__(self) -> str:
        told = "" if self.fooled is None else f", {int(torch.as_tensor(self.fooled).sum())} fooled"
        return f"<Findings of {len(self)} images{told}, {self.evaluations:g} evaluations each>"

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline whose draws these are."""
        return self.randomization.pipeline

    @property
    def evaluations(self) -> float:
        """Model evaluations per image: a forward pass counts one, and so does a backward pass."""
        return (self.forwards + self.backwards) / max(len(self), 1)

    def values(self) -> dict[str, np.ndarray[Any, Any]]:
        """The physical value of every parameter, whether it acts or not: name in ``pipeline.parameters`` -> (N,)."""
        return {name: value.numpy() for name, value in physical_values(self.pipeline, self.draw.u).items()}

    def describe(self, i: int) -> dict[str, str]:
        """What happened to image ``i`` in words, without what does not act there: "0 Rotation angle" -> "12 degrees".

        The points of a field of more than nine are told as one: "0 Wood bend (256)" -> "from -1 to 1, rms 0.58".

        :param i: Which of the N images. Pixel fields such as noise are those of ``draw.seeds[i]``.
        """
        return described(self.pipeline.chain, self.draw[i].u[0])

    def replay(self, x: Any) -> Any:
        """Randomize the original images by the draws.

        :param x: Images (N, ...) as an array or tensor, in the units of ``clip_values``.
        :return: The images randomized, as ``x`` is, in float32.
        """
        return replay(self.randomization, x, self.draw)

    def to_json(self) -> str:
        """Everything but the images: pipeline, draws, margins and counts, exactly, and the parameters for readers."""
        require(self.delta is None, "delta", "be None (pixels belong into an array file)", "perturbed pixels")
        document = {
            "pipeline": to_dict(self.pipeline),
            "clip_values": [np.asarray(bound).tolist() for bound in self.randomization.clip_values],
            "channels_first": self.randomization.channels_first,
            "device_type": self.randomization.device_type,
            "u": self.draw.u.double().tolist(),
            "seeds": self.draw.seeds.tolist(),
            "margins": torch.as_tensor(self.margins).double().tolist(),
            "fooled": torch.as_tensor(self.fooled).tolist(),
            "forwards": self.forwards,
            "backwards": self.backwards,
            "parameters": [self.describe(i) for i in range(len(self))],
        }
        return json.dumps(document, indent=1)

    @classmethod
    def from_json(cls, text: str, x: Any) -> Findings:
        """Read what :meth:`to_json` wrote and make the images again.

        :param text: What it wrote.
        :param x: The original images (N, ...), as an array or tensor.
        """
        document = json.loads(text)
        low, high = (np.asarray(bound) for bound in document["clip_values"])
        view = DomainRandomization(
            from_dict(document["pipeline"]),
            clip_values=(low, high),
            channels_first=document["channels_first"],
            seed=0,
            device_type=document["device_type"],
        )
        width = len(view.pipeline.parameters)
        u = torch.tensor(document["u"], dtype=torch.float32).reshape(-1, width)
        draw = Draw(u, torch.tensor(document["seeds"], dtype=torch.int64))
        found = cls(
            images=None,
            draw=draw,
            margins=np.asarray(document["margins"], dtype=np.float32),
            fooled=np.asarray(document["fooled"], dtype=bool),
            randomization=view,
            forwards=document["forwards"],
            backwards=document["backwards"],
        )
        return replace(found, images=replay(view, x, draw))


def replay(view: DomainRandomization, x: Any, draw: Draw) -> Any:
    """The images ``x`` (N, ...) randomized by ``draw``, in float32."""
    images = x if isinstance(x, Tensor) else torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
    require(len(images) == len(draw), "x", f"hold {len(draw)} images, one for each draw", len(images))
    with torch.no_grad():
        changed = view.randomize(images.to(view.device).float(), draw.to(view.device)).to(images.device)
    return changed if isinstance(x, Tensor) else changed.numpy()


def find(attack: Any, x: Any, y: Any, mask: Any, solve: Solve, added: str | None = None) -> Findings:
    """Check the inputs, search, and return what was found, as arrays if ``x`` is one.

    ``added`` is whether pixels are changed "before" or "after" the randomization, or None.
    """
    as_tensor = isinstance(x, Tensor)
    with ordinary_autograd(), ExitStack() as stack:
        images = checked_images(x, ART_NUMPY_DTYPE)
        require(images.dim() >= 4, "x", "be images (N, C, H, W)", Text(f"shape {tuple(images.shape)}"))
        view, config = view_of(attack), Config.of(attack)
        device = attack.estimator.device if is_device_estimator(attack.estimator) else torch.device("cpu")
        images = images.to(device) if as_tensor else images
        source = stack.enter_context(
            open_estimator(attack.estimator, config.memory_format, config.autocast, attack.compiler(), summed=True)
        )
        counting = CountingGradients(source)
        inputs = prepare(attack.estimator, counting, images, y, mask, config)
        attack._warn_of_pixels(inputs.outside)
        attack._warn_of_radius(images.shape[1:].numel())
        stack.enter_context(explained(attack.estimator, images))
        if y is None and len(inputs):
            inputs = with_predictions(inputs, shared=False)
        if len(inputs) and inputs.random is not None:  # asked here, since what is asked before does not count
            counting.forwards = 0
        stage = stage_of(attack, inputs, view, solve, pixels=added is not None)
        best = search(inputs, [stage])

    def out(tensor: Tensor) -> Any:
        return tensor if as_tensor else tensor.cpu().numpy()

    return Findings(
        images=out(best.adv),
        draw=Draw(stage.u.cpu(), stage.seeds.cpu()),
        margins=out(best.margin),
        fooled=out(best.fooled),
        randomization=view,
        forwards=counting.forwards,
        backwards=counting.backwards,
        delta=None if stage.delta is None else out(stage.delta),
        added=added,
    )


def view_of(attack: Any) -> DomainRandomization:
    """The attack's pipeline on images of its estimator; the draws are the attack's own, so its seed is never used."""
    view = DomainRandomization.for_estimator(attack.estimator, attack.pipeline, seed=0)
    if is_device_estimator(attack.estimator) or view.device_type == "cpu":
        return view
    # Another estimator is attacked in NumPy, so what is found is made again on the CPU.
    return DomainRandomization(
        view.pipeline, clip_values=view.clip_values, channels_first=view.channels_first, seed=0, device_type="cpu"
    )
