"""Attack an ART classifier: train a small network on digits, then FGSM and PGD, with arrays and with tensors.

Run with: python examples/attack_classifier.py
"""

import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import FGSM, PGD
from art_domainrand.data import digits


def main() -> None:
    """Train, attack, and print accuracies."""
    torch.manual_seed(0)
    train, test = digits()
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 64), nn.ReLU(), nn.Linear(64, 10))
    classifier = PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(model.parameters(), lr=2e-3),
        input_shape=(1, 28, 28),
        nb_classes=10,
        clip_values=(0, 1),
    )
    classifier.fit(train.x, train.y, batch_size=64, nb_epochs=10)

    def accuracy(x):
        return (classifier.predict(x).argmax(axis=1) == test.y).mean()

    fgsm = FGSM(classifier, eps=0.05)
    pgd = PGD(classifier, eps=0.05, eps_step=0.01, max_iter=20, num_random_init=1, seed=0, verbose=False)
    print(f"clean {accuracy(test.x):.3f}")
    print(f"FGSM  {accuracy(fgsm.generate(test.x, test.y)):.3f}")
    print(f"PGD   {accuracy(pgd.generate(test.x, test.y)):.3f}")

    # Within a PyTorch program: tensors in, tensors out, on the classifier's device.
    x = torch.from_numpy(test.x[:8]).to(classifier.device)
    adversarial = pgd.perturb(x, torch.from_numpy(test.y[:8]))
    print(f"largest change of a pixel {(adversarial - x).abs().max():.3f} (eps is 0.05)")


if __name__ == "__main__":
    main()
