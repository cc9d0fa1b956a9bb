"""Spanish sentences of the seven frames: agreement, plurals, contractions."""

from __future__ import annotations

from tools.bundled.data import lexicon
from tools.bundled.data.grammar.common import with_adverbials, worded, words
from tools.bundled.data.meanings import (
    Action,
    Arrival,
    Comparison,
    Conjunction,
    Journey,
    Meaning,
    Named,
    Participant,
    Position,
    Quantity,
    Style,
    Transfer,
    Worker,
)

# Words that lose their accent in the plural, or have no plural of their own.
PLURALS = {
    "camión": "camiones",
    "limón": "limones",
    "melón": "melones",
    "violín": "violines",
    "jarrón": "jarrones",
    "autobús": "autobuses",
    "paraguas": "paraguas",
    "marrón": "marrones",
}


def sentence(meaning: Meaning, style: Style) -> str:
    """Say a meaning in Spanish."""
    place = None if meaning.city is None else f"en {lexicon.CITIES[meaning.city].spanish}"
    time = None if meaning.time is None else lexicon.TIMES[meaning.time].spanish
    return with_adverbials(_clause(meaning, style), place, time, style)


def _clause(meaning: Meaning, style: Style) -> str:
    match meaning:
        case Action():
            return _action(meaning, style)
        case Transfer():
            return _transfer(meaning, style)
        case Conjunction():
            return _conjunction(meaning, style)
        case Journey():
            return _journey(meaning, style)
        case Comparison():
            return _comparison(meaning, style)
        case Position():
            return _position(meaning, style)
        case Arrival():
            return _arrival(meaning, style)


def plural(word: str) -> str:
    """Form the plural of a noun or an adjective.

    >>> plural("reloj"), plural("vaca"), plural("sofá"), plural("limón")
    ('relojes', 'vacas', 'sofás', 'limones')
    """
    return PLURALS.get(word) or (word + "s" if word[-1] in "aeiouáéó" else word + "es")


def gender(participant: Participant | Quantity) -> str:
    """The grammatical gender, "m" or "f"."""
    if isinstance(participant, Named):
        return lexicon.NAMES[participant.index].gender
    if isinstance(participant, Worker):
        return lexicon.JOBS[participant.index].spanish.gender
    return lexicon.THINGS[participant.index].spanish.gender


def agreeing(adjective: tuple[str, str], participant: Participant | Quantity) -> str:
    """The masculine or feminine singular of an adjective."""
    masculine, feminine = adjective
    return masculine if gender(participant) == "m" else feminine


def noun_phrase(participant: Participant) -> str:
    """A name, or a definite noun with its adjective."""
    if isinstance(participant, Named):
        return lexicon.NAMES[participant.index].latin
    article = "el" if gender(participant) == "m" else "la"
    if isinstance(participant, Worker):
        noun = lexicon.JOBS[participant.index].spanish.singular
        if participant.adjective is None:
            return words(article, noun)
        return words(article, noun, agreeing(lexicon.PERSON_ADJECTIVES[participant.adjective].spanish, participant))
    noun = lexicon.THINGS[participant.index].spanish.singular
    return words(article, noun, agreeing(lexicon.THING_ADJECTIVES[participant.adjective].spanish, participant))


def quantity_phrase(quantity: Quantity) -> str:
    """A number, or "unos", with a plural noun and its adjective."""
    some = "unos" if gender(quantity) == "m" else "unas"
    number = some if quantity.number is None else lexicon.NUMBERS[quantity.number].spanish
    noun = plural(lexicon.THINGS[quantity.index].spanish.singular)
    adjective = None
    if quantity.adjective is not None:
        adjective = plural(agreeing(lexicon.THING_ADJECTIVES[quantity.adjective].spanish, quantity))
    return words("al menos" if quantity.at_least else None, number, noun, adjective)


def with_preposition(preposition: str, phrase: str) -> str:
    """Put "a" or "de" before a noun phrase; the preposition contracts with an "el" that begins the phrase.

    >>> with_preposition("de", "el perro"), with_preposition("a", "la vaca")
    ('del perro', 'a la vaca')
    """
    if phrase.startswith("el "):
        return {"a": "al", "de": "del"}[preposition] + phrase.removeprefix("el")
    return words(preposition, phrase)


def _no(meaning: Meaning) -> str | None:
    return "no" if meaning.negated else None


def _action(meaning: Action, style: Style) -> str:
    verb = worded(lexicon.ACTIONS[meaning.verb].spanish, style)
    agent, patient = noun_phrase(meaning.subject), noun_phrase(meaning.other)
    if style.passive:
        participle = verb.participle + ("o" if gender(meaning.other) == "m" else "a")
        return words(patient, _no(meaning), "fue", participle, "por", agent)
    return words(agent, _no(meaning), verb.past, with_preposition("a", patient))


def _transfer(meaning: Transfer, style: Style) -> str:
    verb = lexicon.TRANSFERS[meaning.verb]
    giver, receiver = noun_phrase(meaning.subject), noun_phrase(meaning.other)
    things = quantity_phrase(meaning.quantity)
    if style.converse and verb.converse:
        preposition = verb.converse.spanish_preposition
        doubled = "le" if preposition == "a" else None
        return words(receiver, doubled, verb.converse.spanish_past, things, with_preposition(preposition, giver))
    to_receiver = with_preposition("a", receiver)
    if style.passive:
        participle = verb.spanish.participle + ("os" if gender(meaning.quantity) == "m" else "as")
        return words(things, "fueron", participle, to_receiver, "por", giver)
    parts = (to_receiver, things) if style.synonym else (things, to_receiver)
    return words(giver, "le", verb.spanish.past, *parts)


def _conjunction(meaning: Conjunction, style: Style) -> str:
    verb = worded(lexicon.DEEDS[meaning.verb].spanish, style)
    clauses = []
    for person, quantity in meaning.clauses(style):
        agent, things = noun_phrase(person), quantity_phrase(quantity)
        if style.passive:
            participle = verb.participle + ("os" if gender(quantity) == "m" else "as")
            clauses.append(words(things, "fueron", participle, "por", agent))
        else:
            clauses.append(words(agent, verb.past, things))
    return " y ".join(clauses)


def _journey(meaning: Journey, style: Style) -> str:
    verb = "fue" if style.synonym else "viajó"
    means = None if meaning.means is None else lexicon.MEANS[meaning.means].spanish
    origin, destination = lexicon.CITIES[meaning.origin].spanish, lexicon.CITIES[meaning.destination].spanish
    route = f"de {origin} a {destination}"
    parts = (means, route) if style.converse else (route, means)
    return words(noun_phrase(meaning.subject), _no(meaning), verb, *parts)


def _comparison(meaning: Comparison, style: Style) -> str:
    subject, other, direction = meaning.seen(style)
    word = lexicon.COMPARATIVES[meaning.verb].spanish[direction]
    feminine = word[:-1] + "a" if word.endswith("o") else word
    adjective = agreeing((word, feminine), subject)
    return words(noun_phrase(subject), _no(meaning), "era más", adjective, "que", noun_phrase(other))


def _position(meaning: Position, style: Style) -> str:
    subject, other, direction = meaning.seen(style)
    position = lexicon.POSITIONS[meaning.verb].spanish[direction].removesuffix(" de")
    return words(noun_phrase(subject), _no(meaning), "estaba", position, with_preposition("de", noun_phrase(other)))


def _arrival(meaning: Arrival, style: Style) -> str:
    verb = ("llegó a", "salió de")[meaning.leaving]
    subject, other, later = meaning.seen(style)
    place = lexicon.CITIES[meaning.place].spanish
    return words(noun_phrase(subject), verb, place, ("antes", "después")[later], "que", noun_phrase(other))
