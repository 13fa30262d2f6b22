"""The networks of a first try: the same for a seed, and one of them is robust."""

import numpy as np

from art_domainrand import PGD
from art_domainrand.data import digits
from art_domainrand.loading.demo_models import demo_models


def test_one_is_robust_and_the_other_is_not_and_no_global_generator_moves():
    before = np.random.get_state()[1].copy()
    models = demo_models()
    assert (before == np.random.get_state()[1]).all()
    test = digits()[1][:100]
    clean, robust = {}, {}
    for name, model in models.items():
        clean[name] = (model.predict(test.x).argmax(1) == test.y).mean()
        adversarial = PGD(model, eps=0.1, max_iter=10, seed=0, verbose=False).generate(test.x, test.y)
        robust[name] = (model.predict(adversarial).argmax(1) == test.y).mean()
    assert min(clean.values()) > 0.9
    assert robust["adversarial"] > robust["standard"] + 0.05
