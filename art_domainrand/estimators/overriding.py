"""Methods of ART's that do something else for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, name: str, method: Callable[..., Any]) -> Iterator[None]:
    """Give ``owner`` alone, not its class, another method."""
    before = vars(owner).get(name)
    setattr(owner, name, method)
    try:
        yield
    finally:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


@contextmanager
def preprocessing_seen(classifier: Any, seen: Callable[[Callable[[], Any], Any, Any], Any]) -> Iterator[None]:
    """Let ``seen(preprocess, x, y)`` decide what becomes of images where ``classifier`` preprocesses for training.

    ``preprocess()`` is what ART does. Where it preprocesses for prediction nothing changes.
    """
    own = classifier._apply_preprocessing

    def preprocess(x: Any, y: Any, fit: bool = False, no_grad: bool = True) -> Any:
        return seen(lambda: own(x, y, fit=fit, no_grad=no_grad), x, y) if fit else own(x, y, fit=fit, no_grad=no_grad)

    with replaced(classifier, "_apply_preprocessing", preprocess):
        yield


@contextmanager
def last_output_alone(classifier: Any) -> Iterator[None]:
    """Let ART's wrapper of a model, which lists what each layer of a Sequential gives, list the scores alone."""
    wrapper = classifier._model
    every = wrapper.forward
    with replaced(wrapper, "forward", lambda x: every(x)[-1:]):
        yield
