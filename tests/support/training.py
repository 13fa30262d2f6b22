"""Arguments that several tests of training share."""

from typing import Any

OAAT: dict[str, Any] = {
    "epsilon": 0.1,
    "i_epsilon": 0.1,
    "alternate_iter_eps": 10.0,
    "max_iter": 1,
    "mixup_epsilon": 0.1,
    "mixup_alpha": 0.2,
    "alpha": 1.0,
    "awp_warmup": 0,
    "awp_gamma": 0.005,
    "beta": 6.0,
    "beta_final": 6.0,
    "list_swa_epoch": [],
    "list_swa_tau": [],
    "swa_save_epoch": 100,
    "load_swa_model_tau": 0.9,
    "lpips_weight": 1.0,
    "i_lpips_weight": 0.0,
    "oaat_warmup": 0,
    "lr": 0.01,
    "lr_schedule": "cosine",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "models_path": None,
}
"""``train_params`` of ART's OAAT trainer: weights perturbed, no LPIPS, no averaged models."""
