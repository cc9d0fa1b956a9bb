"""The sections of the report, one file each, in the order of the page. A new section is one file and one line here."""

from analysis.document import Section
from analysis.sections import account, figure_one, figure_two, trials

SECTIONS: dict[str, Section] = {
    "account": account.SECTION,
    "figure-1": figure_one.SECTION,
    "figure-2": figure_two.SECTION,
    "trials": trials.SECTION,
}
