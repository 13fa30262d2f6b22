"""The benchmark of the transforms leaves none out."""

from benchmarks.catalogue_rows import ALONE, KORNIA, SIZED, TORCHVISION

from art_domainrand.randomization import TRANSFORMS

BESIDE = [(name.split(" | ")[0], row[0]) for table in (KORNIA, TORCHVISION, SIZED) for name, row in table.items()]
ROWS = BESIDE + list(ALONE.items())


def test_every_transform_is_timed_beside_something():
    assert set(TRANSFORMS) == {name for name, _ in ROWS}


def test_a_row_times_the_transform_of_its_name():
    assert all(type(transform) is TRANSFORMS[name] for name, transform in ROWS)


def test_only_what_kornia_and_torchvision_lack_is_timed_alone():
    assert not set(ALONE) & {name for name, _ in BESIDE}
