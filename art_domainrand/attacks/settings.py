"""What every attack does with its parameters: set all or none, and keep what is costly to make of them."""

from typing import Any, ClassVar

from art_domainrand.estimators import Compiler


class Settings:
    """Mixin over ART's ``Attack``."""

    attack_params: ClassVar[list[str]]
    compile: bool | str
    _compiler: Compiler | None = None

    def set_params(self, **kwargs: Any) -> None:
        """Set parameters by name; if one of them is refused, none is set."""
        before = {name: getattr(self, name) for name in kwargs if name in self.attack_params}
        accepted = False
        try:
            super().set_params(**kwargs)  # type: ignore[misc]
            accepted = True
        finally:
            for name, value in () if accepted else before.items():
                setattr(self, name, value)

    def compiler(self) -> Compiler | None:
        """What compiles the model, kept for the next call; None without ``compile``."""
        backend = "inductor" if self.compile is True else self.compile
        if backend and (self._compiler is None or self._compiler.backend != backend):
            self._compiler = Compiler(backend)
        return self._compiler if backend else None
