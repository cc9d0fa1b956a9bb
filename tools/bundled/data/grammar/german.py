"""German sentences of the seven frames: case, adjective endings, weak nouns, the verb in second place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from tools.bundled.data import lexicon
from tools.bundled.data.grammar.common import finished, worded, words
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

Case = Literal["nominative", "accusative", "dative"]
ARTICLES: dict[Case, dict[str, str]] = {
    "nominative": {"m": "der", "f": "die", "n": "das"},
    "accusative": {"m": "den", "f": "die", "n": "das"},
    "dative": {"m": "dem", "f": "der", "n": "dem"},
}


def sentence(meaning: Meaning, style: Style) -> str:
    """Say a meaning in German."""
    match meaning:
        case Action():
            return finished(_action(meaning, style))
        case Transfer():
            return finished(_transfer(meaning, style))
        case Conjunction():
            return finished(_conjunction(meaning, style))
        case Journey():
            return finished(_journey(meaning, style))
        case Comparison():
            return finished(_comparison(meaning, style))
        case Position():
            return finished(_position(meaning, style))
        case Arrival():
            return finished(_arrival(meaning, style))


def noun_phrase(participant: Participant, case: Case = "nominative") -> str:
    """A name, or a definite noun with its adjective, in the given case."""
    if isinstance(participant, Named):
        return lexicon.NAMES[participant.index].latin
    adjective = None
    if isinstance(participant, Worker):
        noun = lexicon.JOBS[participant.index].german
        if participant.adjective is not None:
            adjective = lexicon.PERSON_ADJECTIVES[participant.adjective].german
    else:
        noun = lexicon.THINGS[participant.index].german
        adjective = lexicon.THING_ADJECTIVES[participant.adjective].german
    if adjective:
        weak = case == "dative" or (case == "accusative" and noun.gender == "m")
        adjective += "en" if weak else "e"
    return words(ARTICLES[case][noun.gender], adjective, noun.singular if case == "nominative" else noun.oblique)


def quantity_phrase(quantity: Quantity) -> str:
    """A number, or "einige", with a plural noun and its adjective; nominative and accusative are alike."""
    number = "einige" if quantity.number is None else lexicon.NUMBERS[quantity.number].german
    adjective = None if quantity.adjective is None else lexicon.THING_ADJECTIVES[quantity.adjective].german + "e"
    return words(
        "mindestens" if quantity.at_least else None, number, adjective, lexicon.THINGS[quantity.index].german.plural
    )


def by_or_from(participant: Participant) -> str:
    """Put "von" before a noun phrase in the dative; with "dem" it becomes "vom"."""
    phrase = noun_phrase(participant, "dative")
    return f"vom {phrase.removeprefix('dem ')}" if phrase.startswith("dem ") else f"von {phrase}"


def _clause(
    meaning: Meaning,
    style: Style,
    subject: str,
    finite: str,
    *,
    early: Sequence[str | None] = (),
    late: Sequence[str | None] = (),
    participle: str | None = None,
) -> str:
    """Put the finite verb second: ``X finite [subject] early [time] [place] late participle``.

    X is the subject or, in a fronted style, the first adverbial given. Capital and full stop are added later.
    """
    time = None if meaning.time is None else lexicon.TIMES[meaning.time].german
    place = None if meaning.city is None else f"in {lexicon.CITIES[meaning.city].german}"
    adverbials = [adverbial for adverbial in (time, place) if adverbial]
    first, inner = subject, None
    if style.fronted and adverbials:
        first, inner = adverbials.pop(0), subject
    return words(first, finite, inner, *early, *adverbials, *late, participle)


def _nicht(meaning: Meaning) -> str | None:
    return "nicht" if meaning.negated else None


def _action(meaning: Action, style: Style) -> str:
    verb = worded(lexicon.ACTIONS[meaning.verb].german, style)
    agent, patient = noun_phrase(meaning.subject), noun_phrase(meaning.other, "accusative")
    if style.passive:
        late = [by_or_from(meaning.subject), _nicht(meaning)]
        return _clause(meaning, style, noun_phrase(meaning.other), "wurde", late=late, participle=verb.participle)
    if style.perfect or meaning.negated:
        return _clause(
            meaning, style, agent, "hat", early=[patient], late=[_nicht(meaning)], participle=verb.participle
        )
    return _clause(meaning, style, agent, verb.past, early=[patient])


def _transfer(meaning: Transfer, style: Style) -> str:
    verb = lexicon.TRANSFERS[meaning.verb]
    giver, receiver = noun_phrase(meaning.subject), noun_phrase(meaning.other)
    to_receiver = noun_phrase(meaning.other, "dative")
    things = quantity_phrase(meaning.quantity)
    if style.converse and verb.converse:
        forms, late = verb.converse.german, [things, by_or_from(meaning.subject)]
        if style.perfect:
            return _clause(meaning, style, receiver, "hat", late=late, participle=forms.participle)
        return _clause(meaning, style, receiver, forms.past, late=late)
    if style.passive:
        return _clause(
            meaning,
            style,
            things,
            "wurden",
            early=[to_receiver],
            late=[by_or_from(meaning.subject)],
            participle=verb.german.participle,
        )
    if style.perfect:
        return _clause(
            meaning, style, giver, "hat", early=[to_receiver], late=[things], participle=verb.german.participle
        )
    return _clause(meaning, style, giver, verb.german.past, early=[to_receiver], late=[things])


def _conjunction(meaning: Conjunction, style: Style) -> str:
    verb = worded(lexicon.DEEDS[meaning.verb].german, style)
    clauses = []
    for person, quantity in meaning.clauses(style):
        agent, things = noun_phrase(person), quantity_phrase(quantity)
        if style.passive:
            late = [by_or_from(person)]
            clauses.append(_clause(meaning, style, things, "wurden", late=late, participle=verb.participle))
        elif style.perfect:
            clauses.append(_clause(meaning, style, agent, "hat", late=[things], participle=verb.participle))
        else:
            clauses.append(_clause(meaning, style, agent, verb.past, late=[things]))
        meaning = replace(meaning, time=None)  # only the first clause carries the date
    return " und ".join(clauses)


def _journey(meaning: Journey, style: Style) -> str:
    past, participle = ("fuhr", "gefahren") if style.synonym else ("reiste", "gereist")
    means = None if meaning.means is None else lexicon.MEANS[meaning.means].german
    origin, destination = lexicon.CITIES[meaning.origin].german, lexicon.CITIES[meaning.destination].german
    route = f"von {origin} nach {destination}"
    parts = (means, route) if style.converse else (route, means)
    traveller = noun_phrase(meaning.subject)
    if style.perfect or meaning.negated:
        return _clause(meaning, style, traveller, "ist", late=[_nicht(meaning), *parts], participle=participle)
    return _clause(meaning, style, traveller, past, late=parts)


def _comparison(meaning: Comparison, style: Style) -> str:
    subject, other, direction = meaning.seen(style)
    comparative = lexicon.COMPARATIVES[meaning.verb].german[direction]
    late = [_nicht(meaning), comparative, "als", noun_phrase(other)]
    return _clause(meaning, style, noun_phrase(subject), "war", late=late)


def _position(meaning: Position, style: Style) -> str:
    subject, other, direction = meaning.seen(style)
    late = [_nicht(meaning), lexicon.POSITIONS[meaning.verb].german[direction], noun_phrase(other, "dative")]
    return _clause(meaning, style, noun_phrase(subject), "war", late=late)


def _arrival(meaning: Arrival, style: Style) -> str:
    past, participle = (("erreichte", "erreicht"), ("verließ", "verlassen"))[meaning.leaving]
    subject, other, later = meaning.seen(style)
    place = lexicon.CITIES[meaning.place].german
    late = [("vor", "nach")[later], noun_phrase(other, "dative")]
    if style.perfect:
        return _clause(meaning, style, noun_phrase(subject), "hat", early=[place], late=late, participle=participle)
    return _clause(meaning, style, noun_phrase(subject), past, early=[place], late=late)
