"""SIB-200 (Adelani et al. 2024): the topic of a sentence of FLORES-200, in 205 languages, parallel row by row."""

from trainables.data.contract import FLORES, HubFiles, Task

TASK = Task(
    name="sib200",
    labels=("science/technology", "travel", "politics", "sports", "health", "entertainment", "geography"),
    sentences=1,
    hub=HubFiles("Davlan/sib200", "data/{language}/{split}.tsv", splits=("train", "dev", "test")),
    codes={
        "en": "eng_Latn", "ar": "arb_Arab", "bn": "ben_Beng", "de": "deu_Latn", "el": "ell_Grek", "es": "spa_Latn",
        "fi": "fin_Latn", "fr": "fra_Latn", "he": "heb_Hebr", "hi": "hin_Deva", "id": "ind_Latn", "ja": "jpn_Jpan",
        "ko": "kor_Hang", "qu": "quy_Latn", "quy": "quy_Latn", "ru": "rus_Cyrl", "sw": "swh_Latn", "ta": "tam_Taml",
        "th": "tha_Thai", "tr": "tur_Latn", "vi": "vie_Latn", "yo": "yor_Latn", "zh": "zho_Hans",
    },
    form=FLORES,
    pooled=True,
)  # fmt: skip
