"""The sections of the report, one file each, in page order. A new section is one file and one line here.

Sections of plugins come after these.
"""

from analysis.page.document import Section
from analysis.sections import (
    account,
    associations,
    compute_total,
    curves,
    dose_response,
    equation_one,
    figure_one,
    figure_two,
    importance,
    interventions,
    languages,
    layers,
    methods,
    pareto,
    predictors,
    regret,
    reliability,
    second_stage,
    transfer,
    trials,
    twins,
)
from trainables.plugins import Registry

_OURS = {
    "account": account.SECTION,
    "figure-1": figure_one.SECTION,
    "figure-2": figure_two.SECTION,
    "dose-response": dose_response.SECTION,
    "interventions": interventions.SECTION,
    "associations": associations.SECTION,
    "reliability": reliability.SECTION,
    "second-stage": second_stage.SECTION,
    "transfer": transfer.SECTION,
    "languages": languages.SECTION,
    "predictors": predictors.SECTION,
    "regret": regret.SECTION,
    "curves": curves.SECTION,
    "layers": layers.SECTION,
    "twins": twins.SECTION,
    "equation-1": equation_one.SECTION,
    "importance": importance.SECTION,
    "pareto": pareto.SECTION,
    "trials": trials.SECTION,
    "methods": methods.SECTION,
    "compute": compute_total.SECTION,
}
SECTIONS: Registry[Section] = Registry("sections", Section, _OURS)
