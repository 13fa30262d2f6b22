"""``art-domainrand report``."""

from __future__ import annotations

from art_domainrand.cli import options
from art_domainrand.cli.app import FAILED, app, errors_in_one_line, tell


@app.command(epilog="Example:\n\nart-domainrand report evaluation")
def report(out: options.FolderOption) -> None:
    """Write the page of a finished evaluation again, from its table; nothing is computed anew."""
    with errors_in_one_line():
        from art_domainrand.cli.results import result_lines
        from art_domainrand.evaluation.folder import load_evaluation
        from art_domainrand.evaluation.report.page import write_report

        evaluation = load_evaluation(out.expanduser())
        with errors_in_one_line(FAILED):
            pages = write_report(evaluation, out.expanduser())
            tell("\n".join(result_lines(evaluation)))
            tell(f"\nPage: {pages[0]}")
