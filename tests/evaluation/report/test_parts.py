"""Pictures, texts, grids and the choice of samples: the parts of a page."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from art_domainrand.evaluation.conditions import Attacked, Clean, Corrupted, InDomain, Then
from art_domainrand.evaluation.report import pictures
from art_domainrand.evaluation.report.sections.corruptions import corruption_means
from art_domainrand.evaluation.report.sections.curves import curve_figures
from art_domainrand.evaluation.report.sections.gallery import MOST_BYTES, MOST_SAMPLES, exhibits
from art_domainrand.evaluation.report.sections.grids import attack_grids, severity_grids
from art_domainrand.evaluation.report.sections.provenance import cost_facts, facts_of
from art_domainrand.evaluation.report.sections.verdicts import verdict_cards
from art_domainrand.evaluation.report.text import (
    MISSING,
    bytes_text,
    code_text,
    duration_text,
    number_text,
    p_text,
    share_text,
    shortened,
    visible,
)

from support.evaluation import made_up
from support.pages import read_report
from support.summary import share, tabled


def decoded(picture):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2]))))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_the_image(channels):
    image = np.random.default_rng(0).integers(0, 256, (channels, 12, 9)).astype(np.float32) / 255
    picture = pictures.png_picture(image, "a")
    shown = decoded(picture).reshape(12, 9, -1).transpose(2, 0, 1)
    assert np.array_equal(shown, np.round(255 * image))
    assert (picture.width, picture.height, picture.tiny) == (9, 12, True)


def test_pictures_of_any_sort():
    large = pictures.png_picture(np.zeros((3, 300, 150), np.float32), "a")
    assert (large.width, large.height, large.tiny) == (64, 128, False)
    two = pictures.png_picture(np.array([[[0.0, np.nan]], [[1.0, 3.0]]], np.float32), "a")
    assert decoded(two).tolist() == [[128, 255]]


def test_a_difference_is_ten_times_the_change_around_grey():
    clean = np.full((1, 1, 3), 0.5, np.float32)
    changed = clean + np.array([0, 0.01, -0.2], np.float32)
    assert np.allclose(pictures.difference(clean, changed), [[[0.5, 0.6, 0.0]]])


def test_each_condition_shows_a_sample_before_any_shows_two():
    evaluation = made_up()
    for model, shown in exhibits(evaluation).items():
        conditions = [one.sample.condition for one in shown]
        assert len(conditions) == MOST_SAMPLES
        assert len(set(conditions)) == min(MOST_SAMPLES, len(evaluation.conditions) - 1)
        assert {one.sample.model for one in shown} == {model}
        for one in shown:
            change = one.sample.changed.astype(np.float64) - one.sample.clean
            assert dict(one.distances) == pytest.approx({"L∞": abs(change).max(), "L2": (change**2).sum() ** 0.5})


def test_what_is_shown_first_is_of_all_kinds():
    conditions = [
        Clean(),
        *(Attacked("pgd", eps / 255) for eps in (1, 2)),
        *(Corrupted(name, k) for name in ("fog", "snow") for k in (1, 2)),
        InDomain("night", 1),
    ]
    shown = [one.sample.condition for one in exhibits(made_up(("one",), conditions))["one"]]
    assert shown[:4] == ["pgd linf 1/255", "fog 1", "domain night 1", "snow 1"]
    assert shown[7:11] == shown[:4]  # second samples


def test_pictures_stay_within_their_bytes_and_models_take_turns():
    evaluation = made_up(n=10)
    noise = np.random.default_rng(0).random((3, 256, 256), dtype=np.float32)
    samples = tuple(replace(one, clean=noise, changed=noise) for one in evaluation.samples)
    shown = exhibits(replace(evaluation, samples=samples))
    sizes = [one.size for found in shown.values() for one in found]
    assert sum(sizes) <= MOST_BYTES < sum(sizes) + 2 * max(sizes)
    counts = [len(found) for found in shown.values()]
    assert max(counts) - min(counts) <= 1


def test_only_long_words_are_folded(tmp_path):
    evaluation = made_up(("one",), [Clean(), Corrupted("fog", 1)], n=10)
    words = "a short one", "many words " * 20
    samples = tuple(replace(one, words=text) for one, text in zip(evaluation.samples, words, strict=True))
    page, html, _ = read_report(replace(evaluation, samples=samples), tmp_path)
    gallery = html.partition('<ul class="gallery">')[2].partition("</ul>")[0]
    assert gallery.count("<details>") == 1
    assert all(text.strip() in page.text for text in words)


def test_images_of_two_shapes_have_no_difference():
    evaluation = made_up(("one",), [Clean(), Corrupted("fog", 1)], n=10)
    one = replace(evaluation.samples[0], changed=np.zeros((3, 8, 8), np.float32))
    (shown,) = exhibits(replace(evaluation, samples=(one,)))["one"]
    assert shown.change is None
    assert shown.distances == ()


def test_the_grid_holds_attack_and_domain():
    fog, noise, attacks = Corrupted("fog", 3), InDomain("night", 2), [Attacked("pgd", eps) for eps in (0.1, 0.3)]
    conditions = [Clean(), fog, noise, *attacks, Then(fog, attacks[0]), Then(noise, attacks[1])]
    evaluation = made_up(("one",), conditions)
    (grid,) = attack_grids(evaluation)
    assert grid.columns == ("as they are", "fog 3", "domain night 2")
    names = {
        "no attack": ["clean", "fog 3", "domain night 2"],
        "pgd linf 0.1": ["pgd linf 0.1", "fog 3 > pgd linf 0.1", None],
        "pgd linf 0.3": ["pgd linf 0.3", None, "domain night 2 > pgd linf 0.3"],
    }
    for line, cells in grid.lines:
        rows = [None if cell is None else cell.row for cell in cells]
        assert rows == [name and evaluation.accuracy("one", name) for name in names.pop(line)]
    assert names == {}
    assert attack_grids(made_up(conditions=[Clean(), *attacks])) == ()


def test_severities_stand_in_order():
    fog, night = ([kind(name, k) for k in (5, 1)] for kind, name in ((Corrupted, "fog"), (InDomain, "night")))
    evaluation = made_up(("one",), [Clean(), *fog, *night, Corrupted("snow", 3)])
    (grid,) = severity_grids(evaluation)
    assert grid.columns == ("1", "5")
    assert [(line, [cell.row for cell in cells]) for line, cells in grid.lines] == [
        (line, [evaluation.accuracy("one", f"{line} {k}") for k in (1, 5)]) for line in ("fog", "domain night")
    ]
    assert severity_grids(made_up(conditions=[Clean(), Corrupted("fog", 1)])) == ()


def test_mean_errors_are_over_the_common_corruptions():
    conditions = [Clean(), *(Corrupted(name, k) for name in ("fog", "snow", "speckle_noise") for k in (1, 3))]
    evaluation = made_up(conditions=conditions)
    first, second = corruption_means(evaluation)

    def error(model, name):
        return np.mean([1 - evaluation.accuracy(model, f"{name} {k}").accuracy for k in (1, 3)])

    assert first.corruptions == 2  # speckle noise is one of the four extra ones
    assert first.error == pytest.approx((error("plain", "fog") + error("plain", "snow")) / 2)
    ratios = [error("robust", name) / error("plain", name) for name in ("fog", "snow")]
    assert (first.relative, second.relative) == (None, pytest.approx(sum(ratios) / 2))


def test_models_share_a_figure_and_so_do_the_attacks_of_one():
    conditions = [
        Clean(),
        *(Attacked(name, eps) for name in ("pgd", "fgsm") for eps in (0.1, 0.3)),
        *(Attacked("square", eps, "l2") for eps in (1, 2)),
        Attacked("minimum", 0.1),
    ]
    several = curve_figures(made_up(conditions=conditions))
    assert [(one.title, one.names) for one in several] == [
        (title, ("plain", "robust")) for title in ("pgd linf", "fgsm linf", "square l2")
    ]
    alone = curve_figures(made_up(("one",), conditions))
    assert [(one.title, one.names) for one in alone] == [
        ("Attacks in L∞", ("pgd linf", "fgsm linf")),
        ("square l2", ("square l2",)),
    ]
    assert alone[0].eps == ("0", "0.1", "0.3")
    assert curve_figures(made_up(conditions=[Clean(), Attacked("pgd", 0.1)])) == ()
    assert curve_figures(made_up(conditions=[Attacked("pgd", 0), Attacked("pgd", 0.1)])) == ()
    assert curve_figures(made_up(conditions=[Attacked("pgd", 0.1)])) == ()


def test_facts_are_lines():
    manifest = {"seed": 3, "command": "x", "versions": {"torch": "2.6"}, "seconds": 61.0, "peak_bytes": 2e9, "ok": True}
    assert facts_of(manifest) == (
        ("seed", "3"),
        ("versions: torch", "2.6"),
        ("seconds", "1 min 1 s"),
        ("peak memory", "2 GB"),
        ("ok", "yes"),
    )
    many = facts_of({"models": {str(k): k for k in range(20)}, "list": list(range(20))})
    assert facts_of({"schema": 1, "families": [["a"]], "classes": ["b"], "conditions": {"a": {}}}) == ()
    assert many[12] == ("models", "8 more")
    assert many[13][1].endswith("10, 11 and 8 more")


def test_memory_is_called_memory():
    assert facts_of({"peak_bytes": 9.76e8, "peak_gpu_bytes": 3e9}) == (
        ("peak memory", "976 MB"),
        ("peak GPU memory", "3 GB"),
    )


def test_the_cost_is_of_the_whole_run():
    evaluation = made_up(("one", "two"), [Clean(), Attacked("pgd", 0.1)], n=10)
    cost = {"seconds": 90.0, "peak_gpu_bytes": 0, "models": {"one": {"clean": 1.5, "pgd linf": 2.0}, "two": {}}}
    assert cost_facts(replace(evaluation, cost=cost)) == (
        ("seconds", "1 min 30 s"),
        ("seconds: one", "3.5 s"),
        ("seconds: two", "0.0 s"),
        ("forward passes: one", "220"),  # made up: one for each clean image, 21 for each other
        ("backward passes: one", "200"),
        ("forward passes: two", "220"),
        ("backward passes: two", "200"),
    )


def test_texts():
    assert [duration_text(s) for s in (0.04, 59.9, 60, 3725, float("nan"))] == [
        "0.0 s",
        "59.9 s",
        "1 min 0 s",
        "1 h 2 min",
        MISSING,
    ]
    assert [bytes_text(size) for size in (12, 1500, 2.5e7, 3e12)] == ["12 B", "1.5 KB", "25 MB", "3 TB"]
    assert [number_text(value) for value in (0, 0.01234, 12345.6, float("inf"))] == ["0", "0.0123", "12,346", MISSING]
    assert [p_text(p) for p in (1.0, 0.0123, 0.0001)] == ["1", "0.012", "below 0.001"]
    assert [share_text(share) for share in (0.1234, None, float("nan"))] == ["12.3%", MISSING, MISSING]
    assert code_text("a ``b` c") == "``` a ``b` c ```"
    assert shortened("abcdefghij", 7) == "abcd…ij"
    assert visible("a\u202eb\udc80c\x00 名 \u0627") == "a\\u202eb\\udc80c\\x00 名 \u0627"


@pytest.mark.parametrize(
    ("condition", "where"),
    [(Attacked("pgd", 4 / 255), ", in the worst attack for each image"), (Corrupted("fog", 3), "")],
)
def test_the_worst_class_is_named_with_where_it_is_the_worst(condition, where):
    (card,) = verdict_cards(made_up(("plain",), [Clean(), condition]))
    (tile,) = [tile for tile in card.tiles if tile.title == "Worst class"]
    assert tile.detail == f"class {card.verdict.worst.row.cell!r}{where}"


@pytest.mark.parametrize(("right", "which"), [(100, "every class"), (101, "class 'class 1'")])
def test_no_class_is_named_where_none_is_worse(right, which):
    (card,) = verdict_cards(tabled({"net": {Clean(): share(200, 200), Attacked("pgd", 0.1): share(right, 200)}}))
    tiles = {tile.title: tile.detail for tile in card.tiles}
    assert tiles["Worst class"] == f"{which}, in the worst attack for each image"
    assert tiles["Hardest condition"] == "pgd linf 0.1"
