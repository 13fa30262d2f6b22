"""DomainMapping as ART uses it; what it shares with DomainRandomization is tested there and sampled here."""

import copy
import pickle

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand.attacks.pgd import PGD
from art_domainrand.preprocessors import DomainMapping
from art_domainrand.randomization import DOMAINS, domain_mapping
from art_domainrand.randomization.domains import REFERENCE_METHODS, Histogram


def images(n=6, channels=3, size=12, seed=0):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(seed))


def classifier(**kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 4))
    return PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (3, 12, 12), 4, clip_values=(0.0, 1.0), device_type="cpu", **kwargs
    )


@pytest.mark.parametrize("name", ["negative", "sepia", "thermal", "histogram", "moments"])
def test_it_maps_like_domain_mapping(name):
    examples = images(3, seed=5) if name in REFERENCE_METHODS else None
    mapped, _ = DomainMapping(name, 4, examples).forward(images())
    torch.testing.assert_close(mapped, domain_mapping(images(), name, 4, examples))


@pytest.mark.parametrize("name", [*DOMAINS, *REFERENCE_METHODS])
def test_arrays_keep_shape_dtype_and_range_and_labels_are_untouched(name):
    x, y = images().numpy(), np.eye(6, 4)
    mapped, labels = DomainMapping(name, 5, x if name in REFERENCE_METHODS else None, seed=0)(x, y)
    assert labels is y
    assert mapped.dtype == np.float32
    assert mapped.shape == x.shape
    assert 0 <= mapped.min() < mapped.max() <= 1


@pytest.mark.parametrize("clip_values", [(0, 255), (-1.0, 1.0), (np.zeros((3, 1, 1)), np.full((3, 1, 1), 2.0))])
@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize("domain", ["underwater", "reinhard", "histogram"])
def test_images_and_references_share_range_and_layout(clip_values, channels_first, domain):
    low, high = (torch.as_tensor(value, dtype=torch.float32) for value in clip_values)

    def outside(unit):
        x = unit * (high - low) + low
        return x if channels_first else x.permute(0, 2, 3, 1).contiguous()

    examples = images(2, seed=3) * 0.5
    expected = DomainMapping(domain, 5, examples if domain in REFERENCE_METHODS else None, seed=1).forward(images())[0]
    kwargs = {"channels_first": channels_first, "seed": 1}
    if not channels_first:
        clip_values = tuple(np.moveaxis(value, 0, -1) if np.ndim(value) else value for value in clip_values)
    references = outside(examples) if domain in REFERENCE_METHODS else None
    mapping = DomainMapping(domain, 5, references, clip_values=clip_values, **kwargs)
    mapped = mapping.forward(outside(images()))[0]
    torch.testing.assert_close(mapped, outside(expected), atol=2e-3 * float((high - low).max()), rtol=0)


def test_uint8_images_and_references():
    x = (images() * 255).round()
    wide = DomainMapping("moments", 5, x / 2, clip_values=(0, 255)).forward(x)[0]
    narrow = DomainMapping("moments", 5, (x / 2).to(torch.uint8), clip_values=(0, 255)).forward(x.to(torch.uint8))[0]
    assert narrow.dtype == torch.uint8
    torch.testing.assert_close(narrow.float(), wide, atol=2, rtol=0)


def test_chunks_seeds_copies_and_the_global_generators():
    x = images(23)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    whole = DomainMapping(["rain", "night"], seed=3).forward(x)[0]
    for chunk_size in (1, 5, 23):
        assert torch.equal(DomainMapping(["rain", "night"], seed=3, chunk_size=chunk_size).forward(x)[0], whole)
    mapping = DomainMapping("snow", seed=3)
    first, second = mapping.forward(x)[0], mapping.forward(x)[0]
    assert not torch.equal(first, second), "every call draws afresh"
    for again in (copy.deepcopy(mapping), pickle.loads(pickle.dumps(mapping))):
        assert again.forward(x)[0].shape == x.shape
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()


def test_the_gradient_belongs_to_the_images_that_were_shown():
    x = images(3)
    mapping = DomainMapping("snow", 5, seed=0)
    shown = mapping.forward(x)[0]
    assert torch.equal(mapping.estimate_forward(x), shown)
    assert not torch.equal(mapping.forward(x)[0], shown)
    with mapping.replay():
        assert torch.equal(mapping.forward(x)[0], mapping.forward(x)[0])


@pytest.mark.parametrize("name", ["grayscale", "fog"])
def test_a_classifier_predicts_and_is_attacked_in_the_domain(name):
    x = images(4).numpy()
    plain, mapped = classifier(), classifier(preprocessing_defences=DomainMapping(name, 5, seed=1))
    with torch.no_grad():
        inside = DomainMapping(name, 5, seed=1).forward(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(mapped.predict(x), plain.predict(inside), atol=1e-5)
    labels = plain.predict(x).argmax(1)
    adversarial = PGD(mapped, eps=0.1, eps_step=0.03, max_iter=5).generate(x, labels)

    def losses(images):
        scores = torch.from_numpy(mapped.predict(images))
        return nn.functional.cross_entropy(scores, torch.from_numpy(labels))

    assert losses(adversarial) > losses(x) + 0.01
    assert np.abs(adversarial - x).max() <= 0.1 + 1e-6


def test_a_model_may_be_measured_in_a_domain_it_was_not_trained_in():
    mapping = DomainMapping("night", apply_fit=False)
    assert mapping.apply_predict
    assert not mapping.apply_fit
    assert DomainMapping("night").apply_fit


def test_channels_name_the_picture():
    x = images(3, channels=4)
    for channels_first in (True, False):
        layout = x if channels_first else x.permute(0, 2, 3, 1)
        mapping = DomainMapping("reinhard", 5, layout / 2, channels=[0, 1, 2], channels_first=channels_first)
        mapped = mapping.forward(layout)[0]
        mapped = mapped if channels_first else mapped.permute(0, 3, 1, 2)
        torch.testing.assert_close(mapped[:, 3], x[:, 3])
        torch.testing.assert_close(
            mapped[:, :3], domain_mapping(x[:, :3], "reinhard", 5, x[:, :3] / 2), atol=1e-4, rtol=0
        )


def test_set_params_checks_all_before_it_sets_any():
    mapping = DomainMapping("negative", 5)
    mapping.set_params(severity=4)
    assert mapping.severity == 4
    torch.testing.assert_close(mapping.forward(images())[0], domain_mapping(images(), "negative", 4))
    with pytest.raises(ValueError, match=r"parameters must be among .*'severity'.*, got 'sverity'"):
        mapping.set_params(sverity=3)
    with pytest.raises(ValueError, match="severity must be a number from 1 to 5, got 9"):
        mapping.set_params(domain="night", severity=9)
    assert mapping.domain == "negative"


def test_its_repr_names_every_argument_and_stays_short():
    shown = repr(DomainMapping("histogram", 2, images(50)))
    assert shown.startswith(
        "DomainMapping(domain='histogram', severity=2, references=<Tensor of shape (50, 3, 12, 12)>"
    )
    assert all(f"{name}=" in shown for name in DomainMapping.params)
    assert len(shown) < 400


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("nigt",), "domain must be a Domain or one of"),
        (("night", 6), "severity must be a number from 1 to 5, got 6"),
        (("histogram",), "references must be given for the domain Histogram, got None"),
        (("night", 3, images()), "references must be None"),
        (("histogram", 3, images()[0]), r"references must be a 4D batch of images, got shape \(3, 12, 12\)"),
        (("histogram", 3, images() * 2), "must lie within clip_values"),
    ],
)
def test_bad_input_is_named(args, message):
    with pytest.raises(ValueError, match=message):
        DomainMapping(*args)


def test_a_fitted_domain_can_be_given_as_it_is():
    fitted = Histogram().fit(images(2) ** 2)
    torch.testing.assert_close(
        DomainMapping(fitted, 5).forward(images())[0], domain_mapping(images(), "histogram", 5, images(2) ** 2)
    )
