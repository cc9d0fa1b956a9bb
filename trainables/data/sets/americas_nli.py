"""AmericasNLI (Ebrahimi et al. 2022): XNLI in ten languages of the Americas, with only validation and test files.

English rows, including the training rows, are XNLI's. The files of different languages have different rows. Row counts
are those of the hub's data card; the file names, which are usual for its format, were not checked.
"""

from trainables.data.contract import HubFiles, Task
from trainables.data.sets.xnli import TASK as XNLI

TASK = Task(
    name="americas_nli",
    labels=XNLI.labels,
    hub=HubFiles(
        "nala-cub/americas_nli", columns=("premise", "hypothesis", "label"), splits=("", "validation", "test")
    ),
    languages=("aym", "bzd", "cni", "gn", "hch", "nah", "oto", "quy", "shp", "tar"),
    english=XNLI,
    parallel=False,
)
