"""The table in a file that every program reads."""

import csv

import numpy as np

from art_domainrand.evaluation import folder
from art_domainrand.evaluation.outcomes import OUTCOME

from support.evaluation import made_up


def test_the_csv_file_holds_the_table_with_names_and_every_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "ROWS_AT_A_TIME", 1000)
    outcomes = made_up(n=50).outcomes
    rows = outcomes.rows.copy()
    rows["margin"][:4] = [np.nan, np.inf, np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1))]
    rows["predicted"][7] = 12  # a class that nobody has named
    outcomes.rows[:] = rows
    folder.write_csv(outcomes, tmp_path / "outcomes.csv")
    with (tmp_path / "outcomes.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == list(OUTCOME.names)
    assert len(found) == len(rows) > 1000
    names = {"model": outcomes.models, "condition": outcomes.conditions, "label": outcomes.classes}
    for field in OUTCOME.names:
        column = [one[field] for one in found]
        if field in names:
            assert column == [names[field][place] for place in rows[field]]
        elif field == "predicted":
            assert column == [str(k) if k == 12 else outcomes.classes[k] for k in rows[field]]
        else:
            read = np.array([float(value) for value in column]).astype(OUTCOME[field])
            assert np.array_equal(read, rows[field], equal_nan=OUTCOME[field].kind == "f")
