"""English sentences of the seven frames."""

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


def sentence(meaning: Meaning, style: Style) -> str:
    """Say a meaning in English."""
    place = None if meaning.city is None else f"in {lexicon.CITIES[meaning.city].english}"
    time = None if meaning.time is None else lexicon.TIMES[meaning.time].english
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


def noun_phrase(participant: Participant) -> str:
    """A name, or a definite noun with its adjective."""
    if isinstance(participant, Named):
        return lexicon.NAMES[participant.index].latin
    if isinstance(participant, Worker):
        adjective = None if participant.adjective is None else lexicon.PERSON_ADJECTIVES[participant.adjective].english
        return words("the", adjective, lexicon.JOBS[participant.index].english)
    singular, _ = lexicon.THINGS[participant.index].english
    return words("the", lexicon.THING_ADJECTIVES[participant.adjective].english, singular)


def quantity_phrase(quantity: Quantity) -> str:
    """A number, or "some", with a plural noun and its adjective."""
    number = "some" if quantity.number is None else lexicon.NUMBERS[quantity.number].english
    adjective = None if quantity.adjective is None else lexicon.THING_ADJECTIVES[quantity.adjective].english
    _, plural = lexicon.THINGS[quantity.index].english
    return words("at least" if quantity.at_least else None, number, adjective, plural)


def _not(meaning: Meaning) -> str | None:
    return "not" if meaning.negated else None


def _action(meaning: Action, style: Style) -> str:
    verb = worded(lexicon.ACTIONS[meaning.verb].english, style)
    agent, patient = noun_phrase(meaning.subject), noun_phrase(meaning.other)
    if style.passive:
        return words(patient, "was", _not(meaning), verb.participle, "by", agent)
    return words(agent, f"did not {verb.base}" if meaning.negated else verb.past, patient)


def _transfer(meaning: Transfer, style: Style) -> str:
    verb = lexicon.TRANSFERS[meaning.verb]
    giver, receiver = noun_phrase(meaning.subject), noun_phrase(meaning.other)
    things = quantity_phrase(meaning.quantity)
    if style.converse and verb.converse:
        return words(receiver, verb.converse.english_past, things, "from", giver)
    if style.passive:
        return words(things, "were", verb.english.participle, "to", receiver, "by", giver)
    if style.synonym:
        return words(giver, verb.english.past, receiver, things)
    return words(giver, verb.english.past, things, "to", receiver)


def _conjunction(meaning: Conjunction, style: Style) -> str:
    verb = worded(lexicon.DEEDS[meaning.verb].english, style)
    clauses = []
    for person, quantity in meaning.clauses(style):
        agent, things = noun_phrase(person), quantity_phrase(quantity)
        if style.passive:
            clauses.append(words(things, "were", verb.participle, "by", agent))
        else:
            clauses.append(words(agent, verb.past, things))
    return " and ".join(clauses)


def _journey(meaning: Journey, style: Style) -> str:
    base, past = ("go", "went") if style.synonym else ("travel", "travelled")
    verb = f"did not {base}" if meaning.negated else past
    means = None if meaning.means is None else lexicon.MEANS[meaning.means].english
    origin, destination = lexicon.CITIES[meaning.origin].english, lexicon.CITIES[meaning.destination].english
    route = f"from {origin} to {destination}"
    parts = (means, route) if style.converse else (route, means)
    return words(noun_phrase(meaning.subject), verb, *parts)


def _comparison(meaning: Comparison, style: Style) -> str:
    subject, other, direction = meaning.seen(style)
    comparative = lexicon.COMPARATIVES[meaning.verb].english[direction]
    return words(noun_phrase(subject), "was", _not(meaning), comparative, "than", noun_phrase(other))


def _position(meaning: Position, style: Style) -> str:
    subject, other, direction = meaning.seen(style)
    position = lexicon.POSITIONS[meaning.verb].english[direction]
    return words(noun_phrase(subject), "was", _not(meaning), position, noun_phrase(other))


def _arrival(meaning: Arrival, style: Style) -> str:
    verb = ("reached", "left")[meaning.leaving]
    subject, other, later = meaning.seen(style)
    place = lexicon.CITIES[meaning.place].english
    return words(noun_phrase(subject), verb, place, ("before", "after")[later], noun_phrase(other))
