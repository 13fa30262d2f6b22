"""The compatibility contract: one row for each component of ART, the source of the table in examples/guides/art.md."""

from compatibility import (
    certified_rows,
    classifier_rows,
    defence_rows,
    detector_rows,
    estimator_rows,
    metric_rows,
    random_rows,
    tool_rows,
    trainer_rows,
)
from compatibility.contract import Row

ROWS: list[Row] = [
    *classifier_rows.ROWS,
    *estimator_rows.ROWS,
    *detector_rows.ROWS,
    *trainer_rows.ROWS,
    *certified_rows.ROWS,
    *tool_rows.ROWS,
    *metric_rows.ROWS,
    *defence_rows.ROWS,
    *random_rows.ROWS,
]
