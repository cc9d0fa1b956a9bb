"""Sentences of each frame in each language, written and checked by hand."""

from __future__ import annotations

import pytest

from tools.bundled.data import lexicon
from tools.bundled.data.grammar import german, in_all_languages, spanish
from tools.bundled.data.meanings import (
    Action,
    Arrival,
    Comparison,
    Conjunction,
    Item,
    Journey,
    Meaning,
    Named,
    Position,
    Quantity,
    Style,
    Transfer,
    Worker,
)

JOBS = {job.english: number for number, job in enumerate(lexicon.JOBS)}
NAMES = {name.latin: number for number, name in enumerate(lexicon.NAMES)}
THINGS = {thing.english[0]: number for number, thing in enumerate(lexicon.THINGS)}
THING_ADJECTIVES = {adjective.english: number for number, adjective in enumerate(lexicon.THING_ADJECTIVES)}
PERSON_ADJECTIVES = {adjective.english: number for number, adjective in enumerate(lexicon.PERSON_ADJECTIVES)}
CITIES = {city.english: number for number, city in enumerate(lexicon.CITIES)}
TIMES = {time.english: number for number, time in enumerate(lexicon.TIMES)}
MEANS = {means.english: number for number, means in enumerate(lexicon.MEANS)}
NUMBERS = {number.english: index for index, number in enumerate(lexicon.NUMBERS)}
ACTIONS = {verb.english[0].base: number for number, verb in enumerate(lexicon.ACTIONS)}
TRANSFERS = {verb.english.base: number for number, verb in enumerate(lexicon.TRANSFERS)}
DEEDS = {verb.english[0].base: number for number, verb in enumerate(lexicon.DEEDS)}
COMPARATIVES = {pair.english[0]: number for number, pair in enumerate(lexicon.COMPARATIVES)}
POSITIONS = {pair.english[0]: number for number, pair in enumerate(lexicon.POSITIONS)}


def style(*bits: str) -> Style:
    return Style(**{name: name in bits for name in Style._fields})


def person(words: str) -> Named | Worker:
    *adjective, noun = words.split()
    if noun in NAMES:
        return Named(NAMES[noun])
    return Worker(JOBS[noun], PERSON_ADJECTIVES[adjective[0]] if adjective else None)


def item(words: str) -> Item:
    adjective, noun = words.split()
    return Item(THINGS[noun], THING_ADJECTIVES[adjective])


def quantity(number: str | None, adjective: str | None, noun: str, *, at_least: bool = False) -> Quantity:
    return Quantity(
        None if number is None else NUMBERS[number],
        at_least,
        None if adjective is None else THING_ADJECTIVES[adjective],
        THINGS[noun],
    )


ACCUSED = Action(
    subject=person("soldier"),
    other=person("Emma"),
    verb=ACTIONS["accuse"],
    city=CITIES["Prague"],
    time=TIMES["in April"],
)
NOT_ACCUSED = Action(
    subject=person("soldier"),
    other=person("Emma"),
    verb=ACTIONS["accuse"],
    city=CITIES["Prague"],
    time=TIMES["in April"],
    negated=True,
)
PRAISED = Action(subject=person("famous singer"), other=person("young pilot"), verb=ACTIONS["praise"])
SOLD = Transfer(
    subject=person("old butcher"),
    other=person("student"),
    verb=TRANSFERS["sell"],
    quantity=quantity("three", "brown", "cow"),
    time=TIMES["yesterday"],
)
LENT = Transfer(
    subject=person("Oscar"),
    other=person("Spanish nurse"),
    verb=TRANSFERS["lend"],
    quantity=quantity("100", None, "book"),
)
GAVE = Transfer(
    subject=person("king"),
    other=person("queen"),
    verb=TRANSFERS["give"],
    quantity=quantity("two", "red", "umbrella"),
)
BOUGHT = Conjunction(
    subject=person("king"),
    quantity=quantity("five", "yellow", "violin", at_least=True),
    second_subject=person("Clara"),
    second_quantity=quantity(None, "red", "apple"),
    verb=DEEDS["buy"],
    time=TIMES["last week"],
)
WENT = Journey(
    subject=person("tired writer"),
    origin=CITIES["Brussels"],
    destination=CITIES["Moscow"],
    means=MEANS["by bicycle"],
    time=TIMES["in March"],
)
DID_NOT_GO = Journey(
    subject=person("tired writer"),
    origin=CITIES["Brussels"],
    destination=CITIES["Moscow"],
    means=MEANS["by bicycle"],
    time=TIMES["in March"],
    negated=True,
)
OLDER = Comparison(
    subject=item("blue lamp"),
    other=item("white bed"),
    verb=COMPARATIVES["older"],
    direction=0,
    time=TIMES["on Monday"],
)
NOT_OLDER = Comparison(
    subject=item("blue lamp"),
    other=item("white bed"),
    verb=COMPARATIVES["older"],
    direction=0,
    time=TIMES["on Monday"],
    negated=True,
)
TALLER = Comparison(subject=person("Maria"), other=person("judge"), verb=COMPARATIVES["taller"], direction=0)
IN_FRONT = Position(
    subject=item("yellow jacket"),
    other=item("green motorcycle"),
    verb=POSITIONS["in front of"],
    direction=0,
    time=TIMES["in April"],
)
LEFT_OF = Position(
    subject=item("black dog"), other=item("red hat"), verb=POSITIONS["to the left of"], direction=0, negated=True
)
ABOVE = Position(subject=item("new clock"), other=item("big bench"), verb=POSITIONS["above"], direction=0)
LEFT_TOKYO = Arrival(
    subject=person("dentist"),
    other=person("Emma"),
    place=CITIES["Tokyo"],
    leaving=True,
    time=TIMES["this morning"],
)
REACHED_ROME = Arrival(
    subject=person("rich farmer"), other=person("poor policeman"), place=CITIES["Rome"], leaving=False
)

EXAMPLES = [
    (
        ACCUSED,
        style(),
        "The soldier accused Emma in Prague in April.",
        "Der Soldat beschuldigte Emma im April in Prag.",
        "El soldado acusó a Emma en Praga en abril.",
        "士兵四月在布拉格指控了艾玛。",
    ),
    (
        ACCUSED,
        style("passive", "fronted"),
        "In April Emma was accused by the soldier in Prague.",
        "Im April wurde Emma in Prag vom Soldaten beschuldigt.",
        "En abril Emma fue acusada por el soldado en Praga.",
        "四月艾玛在布拉格被士兵指控了。",
    ),
    (
        NOT_ACCUSED,
        style(),
        "The soldier did not accuse Emma in Prague in April.",
        "Der Soldat hat Emma im April in Prag nicht beschuldigt.",
        "El soldado no acusó a Emma en Praga en abril.",
        "士兵四月在布拉格没有指控艾玛。",
    ),
    (
        NOT_ACCUSED,
        style("passive"),
        "Emma was not accused by the soldier in Prague in April.",
        "Emma wurde im April in Prag vom Soldaten nicht beschuldigt.",
        "Emma no fue acusada por el soldado en Praga en abril.",
        "艾玛四月在布拉格没有被士兵指控。",
    ),
    (
        PRAISED,
        style("synonym", "perfect", "fronted"),
        "The famous singer commended the young pilot.",
        "Die berühmte Sängerin hat den jungen Piloten gewürdigt.",
        "La cantante famosa alabó al piloto joven.",
        "著名的歌手称赞了年轻的飞行员。",
    ),
    (
        SOLD,
        style(),
        "The old butcher sold three brown cows to the student yesterday.",
        "Der alte Metzger verkaufte dem Studenten gestern drei braune Kühe.",
        "El carnicero viejo le vendió tres vacas marrones al estudiante ayer.",
        "年老的屠夫昨天把三头棕色的牛卖给了学生。",
    ),
    (
        SOLD,
        style("passive"),
        "Three brown cows were sold to the student by the old butcher yesterday.",
        "Drei braune Kühe wurden dem Studenten gestern vom alten Metzger verkauft.",
        "Tres vacas marrones fueron vendidas al estudiante por el carnicero viejo ayer.",
        "三头棕色的牛昨天被年老的屠夫卖给了学生。",
    ),
    (
        SOLD,
        style("converse", "fronted", "perfect"),
        "Yesterday the student bought three brown cows from the old butcher.",
        "Gestern hat der Student drei braune Kühe vom alten Metzger gekauft.",
        "Ayer el estudiante le compró tres vacas marrones al carnicero viejo.",
        "昨天学生从年老的屠夫那里买了三头棕色的牛。",
    ),
    (
        LENT,
        style("synonym", "perfect", "converse"),
        "Oscar lent the Spanish nurse 100 books.",
        "Oscar hat der spanischen Krankenschwester 100 Bücher geliehen.",
        "Oscar le prestó a la enfermera española 100 libros.",
        "奥斯卡借给了西班牙护士100本书。",
    ),
    (
        GAVE,
        style("converse"),
        "The queen received two red umbrellas from the king.",
        "Die Königin bekam zwei rote Regenschirme vom König.",
        "La reina recibió dos paraguas rojos del rey.",
        "王后从国王那里收到了两把红色的雨伞。",
    ),
    (
        BOUGHT,
        style(),
        "The king bought at least five yellow violins and Clara bought some red apples last week.",
        "Der König kaufte letzte Woche mindestens fünf gelbe Geigen und Clara kaufte einige rote Äpfel.",
        "El rey compró al menos cinco violines amarillos y Clara compró unas manzanas rojas la semana pasada.",
        "国王上周买了至少五把黄色的小提琴，克拉拉买了一些红色的苹果。",
    ),
    (
        BOUGHT,
        style("passive", "fronted", "converse", "synonym"),
        "Last week some red apples were purchased by Clara and at least five yellow violins were purchased by "
        "the king.",
        "Letzte Woche wurden einige rote Äpfel von Clara erworben und mindestens fünf gelbe Geigen wurden vom König "
        "erworben.",
        "La semana pasada unas manzanas rojas fueron adquiridas por Clara y al menos cinco violines amarillos fueron "
        "adquiridos por el rey.",
        "上周一些红色的苹果被克拉拉购买了，至少五把黄色的小提琴被国王购买了。",
    ),
    (
        WENT,
        style(),
        "The tired writer travelled from Brussels to Moscow by bicycle in March.",
        "Der müde Schriftsteller reiste im März von Brüssel nach Moskau mit dem Fahrrad.",
        "El escritor cansado viajó de Bruselas a Moscú en bicicleta en marzo.",
        "疲倦的作家三月从布鲁塞尔骑自行车去了莫斯科。",
    ),
    (
        DID_NOT_GO,
        style("fronted", "converse", "synonym"),
        "In March the tired writer did not go by bicycle from Brussels to Moscow.",
        "Im März ist der müde Schriftsteller nicht mit dem Fahrrad von Brüssel nach Moskau gefahren.",
        "En marzo el escritor cansado no fue en bicicleta de Bruselas a Moscú.",
        "三月疲倦的作家没有骑自行车从布鲁塞尔前往莫斯科。",
    ),
    (
        OLDER,
        style(),
        "The blue lamp was older than the white bed on Monday.",
        "Die blaue Lampe war am Montag älter als das weiße Bett.",
        "La lámpara azul era más vieja que la cama blanca el lunes.",
        "蓝色的灯周一比白色的床旧。",
    ),
    (
        NOT_OLDER,
        style("converse", "fronted"),
        "On Monday the white bed was not newer than the blue lamp.",
        "Am Montag war das weiße Bett nicht neuer als die blaue Lampe.",
        "El lunes la cama blanca no era más nueva que la lámpara azul.",
        "周一白色的床不比蓝色的灯新。",
    ),
    (
        TALLER,
        style("converse"),
        "The judge was shorter than Maria.",
        "Die Richterin war kleiner als Maria.",
        "La jueza era más baja que Maria.",
        "法官比玛丽亚矮。",
    ),
    (
        IN_FRONT,
        style(),
        "The yellow jacket was in front of the green motorcycle in April.",
        "Die gelbe Jacke war im April vor dem grünen Motorrad.",
        "La chaqueta amarilla estaba delante de la motocicleta verde en abril.",
        "黄色的夹克四月在绿色的摩托车前面。",
    ),
    (
        LEFT_OF,
        style(),
        "The black dog was not to the left of the red hat.",
        "Der schwarze Hund war nicht links von dem roten Hut.",
        "El perro negro no estaba a la izquierda del sombrero rojo.",
        "黑色的狗不在红色的帽子左边。",
    ),
    (
        ABOVE,
        style("converse"),
        "The big bench was below the new clock.",
        "Die große Bank war unter der neuen Uhr.",
        "El banco grande estaba debajo del reloj nuevo.",
        "大的长凳在新的钟的下方。",
    ),
    (
        LEFT_TOKYO,
        style(),
        "The dentist left Tokyo before Emma this morning.",
        "Die Zahnärztin verließ Tokio heute Morgen vor Emma.",
        "La dentista salió de Tokio antes que Emma esta mañana.",
        "牙医今天早上在艾玛之前离开了东京。",
    ),
    (
        REACHED_ROME,
        style("converse", "perfect"),
        "The poor policeman reached Rome after the rich farmer.",
        "Der arme Polizist hat Rom nach dem reichen Bauern erreicht.",
        "El policía pobre llegó a Roma después que el granjero rico.",
        "贫穷的警察在富有的农民之后到达了罗马。",
    ),
]


@pytest.mark.parametrize(("meaning", "chosen", "en", "de", "es", "zh"), EXAMPLES)
def test_sentences_are_those_written_by_hand(
    meaning: Meaning, chosen: Style, en: str, de: str, es: str, zh: str
) -> None:
    assert in_all_languages(meaning, chosen) == {"en": en, "de": de, "es": es, "zh": zh}


def test_every_frame_has_an_example() -> None:
    assert {type(example[0]) for example in EXAMPLES} == set(Meaning.__args__)


@pytest.mark.parametrize(
    ("words", "nominative", "accusative", "dative"),
    [
        ("student", "der Student", "den Studenten", "dem Studenten"),
        ("old king", "der alte König", "den alten König", "dem alten König"),
        (
            "shy nurse",
            "die schüchterne Krankenschwester",
            "die schüchterne Krankenschwester",
            "der schüchternen Krankenschwester",
        ),
        ("Emma", "Emma", "Emma", "Emma"),
    ],
)
def test_german_cases(words: str, nominative: str, accusative: str, dative: str) -> None:
    participant = person(words)
    assert german.noun_phrase(participant) == nominative
    assert german.noun_phrase(participant, "accusative") == accusative
    assert german.noun_phrase(participant, "dative") == dative


def test_german_neuter() -> None:
    horse = item("white horse")
    assert german.noun_phrase(horse) == "das weiße Pferd"
    assert german.noun_phrase(horse, "accusative") == "das weiße Pferd"
    assert german.noun_phrase(horse, "dative") == "dem weißen Pferd"


@pytest.mark.parametrize(
    ("singular", "plural"),
    [("camión", "camiones"), ("autobús", "autobuses"), ("paraguas", "paraguas"), ("azul", "azules"), ("rojo", "rojos")],
)
def test_spanish_plurals(singular: str, plural: str) -> None:
    assert spanish.plural(singular) == plural
