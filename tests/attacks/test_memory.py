"""A model that runs out of memory above so many rows gives the results of one that does not."""

import numpy as np
import pytest
import torch

from art_domainrand import PGD, AutoPGD, StrongestAttack
from art_domainrand.core.memory import Parts, is_out_of_memory

from support.attacks import SMALL, RowWise, memory_for, predicted, seen_by, some_images
from support.estimators import wrap

ON_CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: can't allocate memory: you tried")
ATTACKS = {
    "plain": lambda c: PGD(c, **SMALL),
    "search": lambda c: PGD(c, **SMALL, early_stop=True, keep_best=True, num_random_init=2, loss="dlr", seed=0),
    "own loss": lambda c: PGD(c, **SMALL, keep_best=True, eot_samples=3),
    "AutoPGD": lambda c: AutoPGD(c, eps=0.02, max_iter=10, seed=0, verbose=False),
    "AutoPGD L1": lambda c: AutoPGD(c, 1, eps=1.0, max_iter=10, seed=0, verbose=False),
    "strongest": lambda c: StrongestAttack(c, eps=0.02, budget="quick", seed=0, verbose=False),
}


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, lambda: ON_CPU])
@pytest.mark.parametrize("name", ATTACKS)
def test_results_do_not_depend_on_memory(name, error):
    classifier, x = wrap(RowWise()), some_images(8)
    y = predicted(classifier, x)
    unlimited = ATTACKS[name](classifier).generate(x, y)
    for rows in (1, 3):
        with memory_for(classifier.model, rows, error):
            assert np.array_equal(ATTACKS[name](classifier).generate(x, y), unlimited)


@pytest.mark.parametrize("options", [{}, {"early_stop": True}, {"eot_samples": 4}])
def test_an_image_too_large_for_memory_is_an_error(options):
    classifier = wrap(RowWise())
    with memory_for(classifier.model, 0), pytest.raises(torch.OutOfMemoryError):
        PGD(classifier, **SMALL, **options).generate(some_images(5), np.zeros(5, int))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    classifier = wrap(RowWise())
    with (
        memory_for(classifier.model, 2, lambda: RuntimeError("mat1 and mat2 shapes cannot be multiplied")),
        pytest.raises(RuntimeError, match="shapes cannot be multiplied"),
    ):
        PGD(classifier, **SMALL, early_stop=True).generate(some_images(5), np.zeros(5, int))
    assert not is_out_of_memory(RuntimeError("device-side assert"))


def test_what_fits_is_learned_once():
    classifier, x = wrap(RowWise()), some_images(16)
    with seen_by(classifier.model) as seen, memory_for(classifier.model, 5):
        PGD(classifier, **SMALL).generate(x, np.zeros(16, int))
    tried = [len(points) for points in seen]
    assert tried[:7] == [16, 8, 4, 4, 4, 4, 4]
    assert set(tried[2:]) == {4}


def test_parts_cover_every_row_in_order():
    for n in (0, 1, 7, 32):
        for fits in (1, 3, 100):
            done, calls = [], 0
            for part in Parts().over(n):
                with part as rows:
                    calls += 1
                    if rows.stop - rows.start > fits:
                        raise torch.OutOfMemoryError("no")
                    done += range(rows.start, rows.stop)
            assert done == list(range(n))
            assert calls > 0, "an empty batch is one empty part"
