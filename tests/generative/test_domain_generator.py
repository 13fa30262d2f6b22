"""A domain learned from two unpaired sets: what it learns, that it is a domain like any other, and its files."""

import pickle
import warnings

import numpy as np
import pytest
import torch

from art_domainrand import DomainGenerator, DomainRandomization, domain_mapping
from art_domainrand.core.random import TRIAL, seed_of
from art_domainrand.evaluation import evaluate
from art_domainrand.evaluation.conditions import Randomized
from art_domainrand.generative import FitRecord
from art_domainrand.generative.record import agreement, sign_of_disagreement
from art_domainrand.randomization import LearnableRanges, OneOf, Pipeline, Rotation

from support.estimators import make_classifier


def bars(n, seed):
    """Images (n, 1, 8, 8) of a bright upright bar at a random place on black."""
    place = np.random.default_rng(seed).uniform(1, 6, n)
    wide = np.exp(-((np.arange(8) - place[:, None]) ** 2))
    return np.repeat(wide[:, None, None, :], 8, 2).astype(np.float32)


SOURCE = bars(80, 0)
TARGET = 0.2 + 0.4 * bars(80, 1)  # of other places
QUICK = {"epochs": 2, "batch_size": 40, "seed": 0}


def fitted(source=SOURCE, target=TARGET, domain=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return (domain or DomainGenerator(width=8, blocks=1)).fit(source, target, **(QUICK | options))


@pytest.fixture(scope="module")
def domain():
    return fitted()


def full(domain, x, seed=0):
    return domain_mapping(x, domain, severity=5, seed=seed)


@pytest.mark.parametrize("consistency", ["cycle", "contrastive"])
def test_it_learns_the_map_that_no_pair_has_shown(consistency):
    """A grey target of bars of other places: nearest to the truth, 0.2 + 0.4 x, is the image's own bar in grey."""
    domain = fitted(consistency=consistency, epochs=16, batch_size=20, learning_rate=4e-3)
    unseen = bars(40, 5)
    truth = 0.2 + 0.4 * unseen
    made = full(domain, unseen)
    assert abs(made.std() - truth.std()) < 0.8 * abs(unseen.std() - truth.std())
    place, own = (images.mean((1, 2)).argmax(1) for images in (made, truth))
    assert (np.abs(place - own) <= 1).mean() > 0.9 > (np.abs(np.roll(place, 1) - own) <= 1).mean()
    if consistency == "cycle":  # pixel for pixel, as far as the discriminator bears it
        assert np.abs(made - truth).mean() < 0.6 * np.abs(np.roll(truth, 1, 0) - truth).mean()


def test_the_seed_decides_and_nothing_else_moves():
    state = torch.get_rng_state()
    one = full(fitted(), SOURCE)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(9)
    np.testing.assert_array_equal(full(fitted(), SOURCE), one)
    assert np.abs(full(fitted(seed=1), SOURCE) - one).max() > 1e-3
    assert np.abs(full(fitted(consistency="contrastive"), SOURCE) - one).max() > 1e-3


def test_of_several_restarts_the_most_real_is_kept():
    several = fitted(restarts=3)
    runs = {seed: fitted(seed=seed) for seed in (0, *(seed_of(0, TRIAL, number) for number in (1, 2)))}
    best = min(runs.values(), key=lambda one: one.record.late("realism"))
    np.testing.assert_array_equal(full(several, SOURCE), full(best, SOURCE))
    assert best is not runs[0] or len({one.record.late("realism") for one in runs.values()}) == 3


def test_progress_is_shown_unless_told(capsys):
    fitted(restarts=2)
    assert "DomainGenerator, 2 of 2" in capsys.readouterr().err
    fitted(verbose=False)
    assert capsys.readouterr().err == ""


def test_restarts_that_disagree_are_told():
    """Cosines in closed form; of tiny networks that saw one epoch, none has the map yet, and each makes its own."""
    x = torch.from_numpy(SOURCE)
    assert agreement(x, 0.2 + 0.4 * x) == pytest.approx(1)
    assert agreement(x, 1 - x) == pytest.approx(-1)
    assert abs(agreement(x, torch.rand(x.shape, generator=torch.Generator().manual_seed(0)))) < 0.1
    alike, differing = (FitRecord(({"discriminator": 0.2},), made) for made in ((0.9, 0.8), (0.9, -0.7)))
    assert sign_of_disagreement(alike, "it") == sign_of_disagreement(FitRecord(alike.epochs), "it") == []
    (said,) = sign_of_disagreement(differing, "it")
    assert "restarts disagree, 1 of the 2 others learned another map" in said
    assert FitRecord.from_dict(differing.to_dict()) == differing
    with pytest.warns(RuntimeWarning, match="restarts disagree"):
        DomainGenerator(width=2, blocks=0).fit(SOURCE, TARGET, epochs=1, restarts=3, seed=0)


def test_the_agreements_are_those_of_the_maps():
    def run(**options):
        return fitted(domain=DomainGenerator(width=8, blocks=1, noise=0), **options)

    several, seeds = run(restarts=3), [0, *(seed_of(0, TRIAL, number) for number in (1, 2))]
    kept, alone = full(several, SOURCE), [full(run(seed=seed), SOURCE) for seed in seeds]
    others = [torch.from_numpy(made) for made in alone if not np.array_equal(made, kept)]
    assert len(others) == 2
    expected = [agreement(torch.from_numpy(kept), made) for made in others]
    np.testing.assert_allclose(several.record.agreements, expected, atol=1e-5)


def test_a_saved_generator_makes_the_same_bits(domain, tmp_path):
    domain.save(tmp_path / "domain.pt")
    again = DomainGenerator.load(tmp_path / "domain.pt")
    np.testing.assert_array_equal(full(again, SOURCE), full(domain, SOURCE))
    np.testing.assert_array_equal(full(pickle.loads(pickle.dumps(domain)), SOURCE), full(domain, SOURCE))
    assert again.record is None
    known = [repr(one).split("weights=")[1] for one in (again, domain, fitted(seed=2))]
    assert known[0] == known[1] != known[2]
    assert len(domain.record.epochs) == 2
    assert FitRecord.from_dict(domain.record.to_dict()) == domain.record
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"path must be a file of DomainGenerator.*broken\.pt"):
        DomainGenerator.load(tmp_path / "broken.pt")


@pytest.mark.parametrize("lost", ["shape", "weights"])
def test_a_file_that_lacks_a_part_is_refused(domain, tmp_path, lost):
    domain.save(tmp_path / "whole.pt")
    state = torch.load(tmp_path / "whole.pt", weights_only=True)
    del state[lost]
    torch.save(state, tmp_path / "part.pt")
    with pytest.raises(ValueError, match=r"path must be a whole file of DomainGenerator, got '.*part\.pt'"):
        DomainGenerator.load(tmp_path / "part.pt")


def test_learned_severities_keep_the_network(domain):
    ranges = LearnableRanges(domain.with_fields({"severity": (1.0, 5.0)}), "box")
    with torch.no_grad():
        ranges.bounds.copy_(torch.tensor([[0.5], [0.7]]))
    x, draw = torch.from_numpy(SOURCE), ranges.pipeline.sample(80, torch.Generator().manual_seed(0))
    torch.testing.assert_close(ranges.to_pipeline().apply(x, draw), ranges(x, draw), atol=1e-4, rtol=0)


def test_an_image_is_mapped_alike_in_any_batch(domain):
    pipeline = Pipeline([domain])
    draw = pipeline.sample(20, torch.Generator().manual_seed(0))
    x = torch.from_numpy(SOURCE[:20])
    whole = pipeline.apply(x, draw)
    parts = torch.cat([pipeline.apply(x[k : k + 7], draw[k : k + 7]) for k in range(0, 20, 7)])
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=0)


def test_gradients_are_those_of_finite_differences(domain):
    x = torch.from_numpy(SOURCE[:2]).double().requires_grad_()
    values = {"seed": torch.arange(2)}
    assert torch.autograd.gradcheck(lambda x: domain.full(x, values), x, fast_mode=True)
    assert domain.full(x, values).dtype == torch.float64


def test_noise_makes_versions_and_none_makes_one(domain):
    assert np.abs(full(domain, SOURCE, 0) - full(domain, SOURCE, 1)).max() > 1e-4
    plain = fitted(domain=DomainGenerator(noise=0, width=8, blocks=1))
    assert not plain.seeded
    np.testing.assert_array_equal(full(plain, SOURCE, 0), full(plain, SOURCE, 1))


def test_it_stands_wherever_a_domain_does(domain):
    x = torch.from_numpy(SOURCE)
    half = domain_mapping(x, domain, severity=2.5, seed=0)
    torch.testing.assert_close(half, (x + full(domain, x)) / 2, atol=1e-6, rtol=0)
    assert Pipeline([Rotation((-5, 5)), OneOf([domain, Rotation(3.0)])])(x).shape == x.shape
    defence = DomainRandomization([domain], seed=0, device_type="cpu")
    assert defence(SOURCE)[0].shape == SOURCE.shape
    conditions = {"learned": Randomized(Pipeline([domain]), draws=2)}
    found = evaluate(make_classifier(), conditions, (SOURCE, np.zeros(80, int)), diagnosed=False)
    assert found.outcomes.of("model", "learned")["linf"].max() > 0.1


def test_images_of_other_sizes_are_taken(domain):
    for height, width in ((5, 8), (9, 11), (3, 2)):
        assert full(domain, torch.rand(3, 1, height, width)).shape == (3, 1, height, width)


def test_what_makes_no_sense_is_refused(domain):
    with pytest.raises(ValueError, match="domain must be fitted first"):
        full(DomainGenerator(), SOURCE)
    with pytest.raises(ValueError, match="domain must be fitted first"):
        DomainGenerator().save("nowhere.pt")
    with pytest.raises(ValueError, match="x must have 1 channels"):
        full(domain, np.zeros((2, 3, 8, 8), np.float32))
    with pytest.raises(ValueError, match="target must have 1 channels"):
        DomainGenerator().fit(SOURCE, np.repeat(TARGET, 3, 1))
    with pytest.raises(ValueError, match="source must lie within"):
        DomainGenerator().fit(SOURCE * 255, TARGET)
    with pytest.raises(ValueError, match="consistency must be one of"):
        DomainGenerator().fit(SOURCE, TARGET, consistency="none")
    with pytest.raises(ValueError, match="epochs must be >= 1"):
        DomainGenerator().fit(SOURCE, TARGET, epochs=0)
    with pytest.raises(ValueError, match="cell must be None, 1, 2 or 4"):
        DomainGenerator(cell=3)
    with pytest.raises(ValueError, match="severity must be a number from 1 to 5"):
        DomainGenerator(severity=6)


def test_signs_of_failure_are_told():
    """Without content to keep, and with one target image, everything becomes that image; twelve are few."""
    one = np.repeat(TARGET[:1], 12, 0) + np.linspace(-0.05, 0.05, 12, dtype=np.float32)[:, None, None, None]
    with pytest.warns(RuntimeWarning) as told:
        DomainGenerator(width=8, blocks=1).fit(SOURCE, one, epochs=1, seed=0)
    said = [str(each.message) for each in told]
    assert any("12 images of target are too few" in sentence for sentence in said)
    assert all(each.filename == __file__ for each in told)
    grey = np.full_like(SOURCE, 0.5)
    domain = DomainGenerator(width=8, blocks=1, noise=0)
    record = FitRecord(({"discriminator": 0.001},) * 5)
    x, varied = torch.from_numpy(grey), torch.rand(80, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    fitted(grey, TARGET, domain, epochs=1)
    assert [sign.split(":")[1].split(",")[0].strip() for sign in domain._signs(x, varied, record)] == [
        "the discriminator wins",
        "mode collapse",
    ]
