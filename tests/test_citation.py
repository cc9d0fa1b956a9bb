"""What is said of the software for machines is the same in every file that says it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CODEMETA = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_codemeta_says_what_the_citation_says() -> None:
    assert CODEMETA["name"] == CITATION["title"]
    assert CODEMETA["version"] == CITATION["version"]
    assert CODEMETA["license"] == f"https://spdx.org/licenses/{CITATION['license']}"
    assert [author["name"] for author in CODEMETA["author"]] == [author["name"] for author in CITATION["authors"]]
    paper, cited = CODEMETA["referencePublication"], CITATION["preferred-citation"]
    assert paper["name"] == cited["title"]
    assert paper["datePublished"] == str(cited["year"])
    names = [(author["givenName"], author["familyName"]) for author in paper["author"]]
    assert names == [(author["given-names"], author["family-names"]) for author in cited["authors"]]


def test_both_say_what_the_package_says() -> None:
    assert CODEMETA["identifier"] == PROJECT["name"]
    assert CODEMETA["description"] == PROJECT["description"]
    assert CODEMETA["version"] == PROJECT["version"]
    assert CITATION["license"] == PROJECT["license"]
    assert CODEMETA["runtimePlatform"] == f"Python {PROJECT['requires-python']}"
