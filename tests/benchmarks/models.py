"""Models of the benchmarks, with seeded random weights."""

import torch
from torch import nn
from torchvision.models import ResNet, resnet18
from torchvision.models.resnet import BasicBlock


def small_cnn() -> nn.Module:
    """Two convolutions and two linear layers on 3x32x32, as in many tutorials."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 8 * 8, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def cifar_resnet18() -> nn.Module:
    """ResNet-18 with the 3x3 stem that is usual at 32 pixels."""
    model = resnet18(num_classes=10)
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return model


def cifar_resnet10(stride: int = 1) -> nn.Module:
    """One block a stage instead of two; with ``stride`` 2 the first convolution halves the image."""
    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, stride, 1, bias=False), nn.Identity()
    return model


MODELS = {
    "small CNN": (small_cnn, 64, 32),
    "ResNet-18": (cifar_resnet18, 16, 32),
    "ResNet-18 at 64": (resnet18, 32, 64),
}
CUDA_MODELS = {
    "small CNN": (small_cnn, 1024, 32),
    "ResNet-18": (cifar_resnet18, 512, 32),
    "ResNet-18 at 224": (resnet18, 128, 224),
}


def build(name: str, device: torch.device) -> tuple[nn.Module, torch.Tensor, torch.Tensor, int]:
    """The model in evaluation mode, images, labels and the number of classes."""
    factory, batch, size = (CUDA_MODELS if device.type == "cuda" else MODELS)[name]
    torch.manual_seed(0)
    model = factory().to(device).eval()
    x = torch.rand(batch, 3, size, size).to(device)
    with torch.no_grad():
        classes = model(x[:1]).shape[1]
    return model, x, torch.randint(0, classes, (batch,)).to(device), classes
