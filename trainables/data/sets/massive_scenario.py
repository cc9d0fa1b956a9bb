"""MASSIVE's other label: one of 18 scenarios per utterance."""

from dataclasses import replace

from trainables.data.contract import HubFiles
from trainables.data.sets.massive import TASK as MASSIVE

FILES = HubFiles("mteb/amazon_massive_scenario", "{split}/{language}.json.gz", ("text", "label"))
TASK = replace(MASSIVE, name="massive_scenario", hub=FILES)
