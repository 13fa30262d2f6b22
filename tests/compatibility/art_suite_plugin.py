"""A pytest plugin for ART's own tests: our attacks in the place of ART's, and stand-ins for what is not installed.

:mod:`run_art_suite` loads it on both sides; the environment variable ``ART_SUITE_SIDE`` says which ("art" or "ours").
"""

import functools
import importlib
import importlib.util
import os
import pkgutil
import sys
from importlib.machinery import ModuleSpec
from operator import attrgetter
from types import FunctionType, ModuleType
from typing import Any

import art.attacks.evasion as evasion
import art.config
import numpy as np
from art.attacks.evasion.projected_gradient_descent import projected_gradient_descent_numpy as in_numpy
from art.attacks.evasion.projected_gradient_descent import projected_gradient_descent_pytorch as in_torch
from sklearn.linear_model import LogisticRegression

plain_init = LogisticRegression.__init__


@functools.wraps(plain_init)
def init_without_multi_class(self: Any, *args: Any, multi_class: Any = None, **kwargs: Any) -> None:
    """As ART's tests call it, by an argument that scikit-learn 1.8 has taken away."""
    plain_init(self, *args, **kwargs)


LogisticRegression.__init__ = init_without_multi_class  # type: ignore[method-assign]

SIDE = os.environ["ART_SUITE_SIDE"]
art.config.ART_DATA_PATH = os.environ["ART_SUITE_DATA"]


class Absent(ModuleType):
    """Stands for a framework that tests import at the top and, for PyTorch, do not use: a module of empty classes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__, self.__version__, self.__spec__ = [], "2.0", ModuleSpec(name, None)
        sys.modules[name] = self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = type(name, (), {}) if name[0].isupper() else Absent(f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return None


for framework in ("tensorflow", "keras", "pandas"):
    if importlib.util.find_spec(framework) is None:
        top = Absent(framework)
        for part in ("layers", "models", "losses", "backend", "keras.layers", "keras.models"):
            attrgetter(part)(top)


def ours() -> dict[type, type]:
    """ART's classes -> what takes their place."""
    from art_domainrand import FGSM, PGD, AutoPGD

    class BasicIterativeMethod(PGD):
        """PGD from the image itself, with the arguments of ART's."""

        attack_params = evasion.BasicIterativeMethod.attack_params

        def __init__(
            self,
            estimator: Any,
            eps: Any = 0.3,
            eps_step: Any = 0.1,
            max_iter: int = 100,
            targeted: bool = False,
            batch_size: int = 32,
            verbose: bool = True,
        ) -> None:
            super().__init__(
                estimator,
                np.inf,
                eps,
                eps_step,
                max_iter=max_iter,
                targeted=targeted,
                batch_size=batch_size,
                verbose=verbose,
            )

    class MomentumIterativeMethod(PGD):
        """PGD with momentum, with the arguments of ART's."""

        attack_params = evasion.MomentumIterativeMethod.attack_params

        def __init__(
            self,
            estimator: Any,
            norm: Any = np.inf,
            eps: Any = 0.3,
            eps_step: Any = 0.1,
            decay: float = 1.0,
            max_iter: int = 100,
            targeted: bool = False,
            batch_size: int = 32,
            verbose: bool = True,
        ) -> None:
            super().__init__(
                estimator,
                norm,
                eps,
                eps_step,
                decay=decay,
                max_iter=max_iter,
                targeted=targeted,
                batch_size=batch_size,
                verbose=verbose,
            )

    return {
        evasion.FastGradientMethod: FGSM,
        evasion.ProjectedGradientDescent: PGD,
        in_torch.ProjectedGradientDescentPyTorch: PGD,
        in_numpy.ProjectedGradientDescentNumpy: PGD,
        evasion.AutoProjectedGradientDescent: AutoPGD,
        evasion.BasicIterativeMethod: BasicIterativeMethod,
        evasion.MomentumIterativeMethod: MomentumIterativeMethod,
    }


def keep_names_inside(kind: type) -> None:
    """Let the methods of one of ART's classes go on seeing ART's own classes by the names of its module."""
    names = dict(vars(sys.modules[kind.__module__]))
    for name, method in list(vars(kind).items()):
        if isinstance(method, FunctionType):
            own = FunctionType(method.__code__, names, name, method.__defaults__, method.__closure__)
            own.__kwdefaults__ = method.__kwdefaults__
            setattr(kind, name, own)


def put_in_place(replacements: dict[type, type]) -> None:
    """Give every name in ART's modules that stands for one of its classes to the replacement."""
    for _, name, _ in pkgutil.walk_packages(art.__path__, "art.", onerror=lambda _: None):
        try:
            importlib.import_module(name)
        except Exception:  # a part of ART whose framework is absent
            continue
    for kind in (*replacements, in_numpy.ProjectedGradientDescentCommon):
        keep_names_inside(kind)
    for name, module in list(sys.modules.items()):
        if name == "art" or name.startswith("art."):
            for attribute, value in list(vars(module).items()):
                if isinstance(value, type) and value in replacements:
                    setattr(module, attribute, replacements[value])


if SIDE == "ours":
    put_in_place(ours())


def pytest_collection_finish(session: Any) -> None:
    """Tests that need no particular framework run with the default one: make that PyTorch, not TensorFlow."""
    for plugin in session.config.pluginmanager.get_plugins():
        if hasattr(plugin, "get_default_framework"):
            plugin.get_default_framework = lambda: "pytorch"
