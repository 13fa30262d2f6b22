"""Rows of the contract: ART's PyTorch object detectors, with boxes that follow."""

from typing import Any

import numpy as np
import torch
from art.estimators.object_detection import PyTorchFasterRCNN, PyTorchObjectDetector
from compatibility.contract import EPS, NEEDS_CLASSES, MakeAttack, Row, assert_attacked, held_loss, randomization
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.rpn import AnchorGenerator

from art_domainrand import DomainRandomization
from art_domainrand.randomization import Contrast, Pipeline, Rotation

SIZE = 16
IMAGES = np.zeros((2, 3, SIZE, SIZE), dtype=np.float32)
IMAGES[0, :, 2:6, 3:12] = 1
IMAGES[1, :, 9:14, 1:5] = 1


def boxes_around(images: np.ndarray) -> list[list[float]]:
    """The box around what is bright in each image (N, 3, H, W)."""
    found = []
    for image in images:
        rows, columns = np.nonzero(image[0] > 0.5)
        found.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return found


def detections(images: np.ndarray = IMAGES) -> list[dict[str, np.ndarray]]:
    return [
        {"boxes": np.array([box], dtype=np.float32), "labels": np.array([1]), "scores": np.array([1.0])}
        for box in boxes_around(images)
    ]


class Linear(nn.Module):
    """The least of a torchvision detector: a loss that is linear in the images, and the brightest part as its box."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
        self.shown: list[Any] = []

    def forward(self, images: torch.Tensor, targets: Any = None) -> Any:
        if self.training:
            self.shown.append((images.detach().clone(), targets))
            return {"loss_classifier": sum((self.weight * image).sum() for image in images)}
        return [
            {"boxes": torch.tensor([box]), "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}
            for box in boxes_around(images.numpy())
        ]


def detector(kind: type, model: nn.Module, defence: Any = None) -> Any:
    return kind(
        model,
        input_shape=(3, SIZE, SIZE),
        clip_values=(0, 1),
        channels_first=True,
        optimizer=torch.optim.SGD(model.parameters(), 1e-3),
        preprocessing_defences=defence,
        attack_losses=("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"),
        device_type="cpu",
    )


def turned() -> DomainRandomization:
    """A quarter turn: pixels move and none changes its value."""
    return DomainRandomization(Rotation(90.0), apply_predict=True, device_type="cpu")


def boxes_follow(kind: type) -> None:
    """In training the boxes are around what is bright after the turn; predicted ones map back by the inverse."""
    model = Linear()
    detector(kind, model, turned()).fit(IMAGES, detections(), batch_size=2, nb_epochs=1)
    images, targets = model.shown[0]
    given = np.array([target["boxes"].numpy()[0] for target in targets])
    np.testing.assert_allclose(given, boxes_around(images.numpy()), atol=1e-3)
    assert not np.allclose(given, boxes_around(IMAGES))
    defence = turned()
    draw = defence.sample(len(IMAGES))
    with defence.replay(draw):
        found = detector(kind, Linear(), defence).predict(IMAGES)
    back = defence.pipeline.inverse(draw, (SIZE, SIZE)).boxes([torch.from_numpy(d["boxes"]).float() for d in found])
    np.testing.assert_allclose(torch.cat(list(back)).numpy(), boxes_around(IMAGES), atol=1e-3)


def arts_gradient_is_that_of_the_randomized_image(kind: type) -> None:
    """Behind a threefold gain the gradient is 3 w; ART says w, and behind a turn it does not turn it back."""
    gain = DomainRandomization(Contrast(3.0, pivot=0.0), clip=None, apply_predict=True)
    for defence in (gain, turned()):
        model = Linear()
        gradient = detector(kind, model, defence).loss_gradient(IMAGES, detections())
        np.testing.assert_allclose(gradient, np.stack([model.weight.detach().numpy()] * 2), rtol=1e-6)


def object_detector_with_randomization() -> None:
    boxes_follow(PyTorchObjectDetector)
    arts_gradient_is_that_of_the_randomized_image(PyTorchObjectDetector)


def object_detector_with_attack(make: MakeAttack) -> None:
    """On a linear loss behind a turn the strongest images are known: the sign of the weights, turned back."""
    grey = np.full((2, 3, SIZE, SIZE), 0.5, dtype=np.float32)
    model = Linear()
    adversarial = make(detector(PyTorchObjectDetector, model, turned())).generate(grey, detections())
    direction = model.weight.detach().sign().unsqueeze(0)
    draw = turned().sample(1)
    back = Pipeline(Rotation(-90.0)).apply(direction, draw)
    expected = grey + np.float32(EPS) * back.round().numpy()
    np.testing.assert_allclose(adversarial, expected, atol=1e-5)


def tiny_faster_rcnn() -> FasterRCNN:
    """A real FasterRCNN of torchvision with one convolution for a backbone."""
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4, padding=1), nn.Softplus())
    backbone.out_channels = 4
    return FasterRCNN(
        backbone,
        num_classes=3,
        min_size=SIZE,
        max_size=SIZE,
        rpn_anchor_generator=AnchorGenerator(((4, 8),), ((1.0,),)),
        rpn_pre_nms_top_n_train=20,
        rpn_post_nms_top_n_train=10,
        box_batch_size_per_image=8,
    )


def faster_rcnn_with_randomization() -> None:
    boxes_follow(PyTorchFasterRCNN)
    defence = randomization()
    estimator = detector(PyTorchFasterRCNN, tiny_faster_rcnn(), defence)
    before = torch.cat([p.detach().flatten() for p in estimator.model.parameters()])
    estimator.fit(IMAGES, detections(), batch_size=2, nb_epochs=1)
    after = torch.cat([p.detach().flatten() for p in estimator.model.parameters()])
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)
    assert len(estimator.predict(IMAGES)) == 2


def faster_rcnn_with_attack(make: MakeAttack) -> None:
    """The detector's loss rises; the sampling of its proposals is seeded, so that both losses are of the same ones."""
    estimator = detector(PyTorchFasterRCNN, tiny_faster_rcnn())
    grey = (0.2 + 0.6 * IMAGES).astype(np.float32)
    adversarial = make(estimator).generate(grey, detections())
    assert_attacked(grey, adversarial)
    losses = []
    for x in (grey, adversarial):
        torch.manual_seed(0)
        losses.append(held_loss(estimator, None, x, detections()))
    assert losses[1] > losses[0]


SAYS = "boxes follow in `fit`; `pipeline.inverse` maps predicted ones back; ART shows it images in [0, 1]"
ATTACKED = "FGSM, PGD, by the gradient that ART forgets to map back; the others say that they need a classifier"

ROWS = [
    Row(
        "object_detector",
        "PyTorchObjectDetector",
        SAYS,
        ATTACKED,
        object_detector_with_randomization,
        object_detector_with_attack,
        refuses=NEEDS_CLASSES,
        elsewhere=("test_estimators.py::test_fgsm_on_a_detector",),
    ),
    Row(
        "faster_rcnn",
        "PyTorchFasterRCNN",
        SAYS,
        ATTACKED,
        faster_rcnn_with_randomization,
        faster_rcnn_with_attack,
        refuses=NEEDS_CLASSES,
    ),
]
