"""Arguments by their old and their misspelt names."""

import inspect
import warnings
from dataclasses import dataclass

import pytest

from art_domainrand.core.renaming import Renamed, collected, renaming


@renaming(old="new", last=Renamed("layout", lambda last: "last" if last else None))
def function(first, *, new=1, layout=None):
    """What it does."""
    return first, new, layout


def test_the_signature_shown_is_the_functions_own():
    assert str(inspect.signature(function)) == "(first, *, new=1, layout=None)"
    assert function.__doc__ == "What it does."


def test_old_names_are_taken_with_a_warning_where_they_are_used():
    with pytest.warns(DeprecationWarning, match="old is deprecated, say new") as said:
        assert function(0, old=2) == (0, 2, None)
    assert said[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="last is deprecated, say layout"):
        assert function(0, last=True) == (0, 1, "last")
    with pytest.raises(TypeError, match="old must not be given with new"):
        function(0, new=1, old=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert function(0, new=2) == (0, 2, None)


def test_a_misspelt_name_gets_the_nearest_one():
    with pytest.raises(TypeError, match=r"function\(\) got an unexpected keyword .*layuot.*did you mean 'layout'"):
        function(0, layuot=None)
    with pytest.raises(TypeError, match=r"the arguments are \['first', 'new', 'layout'\]$"):
        function(0, zzz=None)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'first'"):
        function()


def test_a_config_is_made_of_the_arguments_of_its_names():
    @dataclass(frozen=True)
    class Config:
        new: int
        layout: str | None

    def build(first, *, new=1, layout=None):
        return collected(Config, locals())

    assert build(0, layout="last") == Config(1, "last")
