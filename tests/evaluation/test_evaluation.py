"""What an evaluation says of itself."""

from support.evaluation import made_up


def test_printed_it_is_a_line_for_each_accuracy_and_no_array():
    evaluation = made_up(models=("plain", "robust"))
    first, *lines = str(evaluation).splitlines()
    assert first == repr(evaluation) == f"<Evaluation of 'plain', 'robust' in {len(evaluation.conditions)} conditions>"
    rows = evaluation.rows()
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert line.startswith(f"{row.model}, {row.cell}: {100 * row.accuracy:.1f}% (95% interval ")
