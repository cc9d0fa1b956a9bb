"""MASSIVE (FitzGerald et al. 2022): one of 60 intents per utterance, parallel in 51 locales, training files included.

Files, columns and codes are those that other programs read from the hub. It was not checked that the rows of all
languages are in the same order (the column ``id`` is not read), or that the English training file contains every label.
"""

from trainables.data.contract import HubFiles, Task

TASK = Task(
    name="massive",
    sentences=1,
    hub=HubFiles("mteb/amazon_massive_intent", "{split}/{language}.json.gz", ("text", "label")),
    languages=(
        "af", "am", "ar", "az", "bn", "cy", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu",
        "hy", "id", "is", "it", "ja", "jv", "ka", "km", "kn", "ko", "lv", "ml", "mn", "ms", "my", "nb", "nl",
        "pl", "pt", "ro", "ru", "sl", "sq", "sv", "sw", "ta", "te", "th", "tl", "tr", "ur", "vi", "zh-CN",
        "zh-TW",
    ),
    codes={"zh": "zh-CN"},
)  # fmt: skip
