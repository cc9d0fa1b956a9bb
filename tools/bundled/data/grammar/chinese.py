"""Chinese sentences of the seven frames: measure words, 了 and 没有, 把 and 被."""

from __future__ import annotations

from dataclasses import replace

from tools.bundled.data import lexicon
from tools.bundled.data.grammar.common import worded
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
    """Say a meaning in Chinese."""
    match meaning:
        case Action():
            return _action(meaning, style) + "。"
        case Transfer():
            return _transfer(meaning, style) + "。"
        case Conjunction():
            return _conjunction(meaning, style) + "。"
        case Journey():
            return _journey(meaning, style) + "。"
        case Comparison():
            return _comparison(meaning, style) + "。"
        case Position():
            return _position(meaning, style) + "。"
        case Arrival():
            return _arrival(meaning, style) + "。"


def noun_phrase(participant: Participant) -> str:
    """A name, or a noun with its adjective; Chinese has no article."""
    if isinstance(participant, Named):
        return lexicon.NAMES[participant.index].chinese
    if isinstance(participant, Worker):
        noun = lexicon.JOBS[participant.index].chinese
        if participant.adjective is None:
            return noun
        return lexicon.PERSON_ADJECTIVES[participant.adjective].chinese + noun
    return lexicon.THING_ADJECTIVES[participant.adjective].chinese + lexicon.THINGS[participant.index].chinese


def quantity_phrase(quantity: Quantity) -> str:
    """A number with the noun's measure word, or 一些, then the noun with its adjective."""
    thing = lexicon.THINGS[quantity.index]
    number = "一些" if quantity.number is None else lexicon.NUMBERS[quantity.number].chinese + thing.measure
    adjective = "" if quantity.adjective is None else lexicon.THING_ADJECTIVES[quantity.adjective].chinese
    return ("至少" if quantity.at_least else "") + number + adjective + thing.chinese


def _clause(meaning: Meaning, style: Style, subject: str, predicate: str) -> str:
    """``subject [time] [place] predicate``; a fronted style begins with the time."""
    time = "" if meaning.time is None else lexicon.TIMES[meaning.time].chinese
    place = "" if meaning.city is None else f"在{lexicon.CITIES[meaning.city].chinese}"
    topic = time + subject if style.fronted else subject + time
    return topic + place + predicate


def _action(meaning: Action, style: Style) -> str:
    verb = worded(lexicon.ACTIONS[meaning.verb].chinese, style)
    agent, patient = noun_phrase(meaning.subject), noun_phrase(meaning.other)
    not_, done = ("没有", "") if meaning.negated else ("", "了")
    if style.passive:
        return _clause(meaning, style, patient, f"{not_}被{agent}{verb}{done}")
    return _clause(meaning, style, agent, f"{not_}{verb}{done}{patient}")


def _transfer(meaning: Transfer, style: Style) -> str:
    verb = lexicon.TRANSFERS[meaning.verb]
    giver, receiver = noun_phrase(meaning.subject), noun_phrase(meaning.other)
    things = quantity_phrase(meaning.quantity)
    if style.converse and verb.converse:
        return _clause(meaning, style, receiver, f"从{giver}那里{verb.converse.chinese}了{things}")
    if style.passive:
        return _clause(meaning, style, things, f"被{giver}{verb.chinese}了{receiver}")
    if style.synonym:
        return _clause(meaning, style, giver, f"{verb.chinese}了{receiver}{things}")
    return _clause(meaning, style, giver, f"把{things}{verb.chinese}了{receiver}")


def _conjunction(meaning: Conjunction, style: Style) -> str:
    verb = worded(lexicon.DEEDS[meaning.verb].chinese, style)
    clauses = []
    for person, quantity in meaning.clauses(style):
        agent, things = noun_phrase(person), quantity_phrase(quantity)
        if style.passive:
            clauses.append(_clause(meaning, style, things, f"被{agent}{verb}了"))
        else:
            clauses.append(_clause(meaning, style, agent, f"{verb}了{things}"))
        meaning = replace(meaning, time=None)  # only the first clause carries the date
    return "，".join(clauses)


def _journey(meaning: Journey, style: Style) -> str:
    verb = "前往" if style.synonym else "去"
    not_, done = ("没有", "") if meaning.negated else ("", "了")
    means = "" if meaning.means is None else lexicon.MEANS[meaning.means].chinese
    origin, destination = lexicon.CITIES[meaning.origin].chinese, lexicon.CITIES[meaning.destination].chinese
    start = f"{means}从{origin}" if style.converse else f"从{origin}{means}"
    return _clause(meaning, style, noun_phrase(meaning.subject), f"{not_}{start}{verb}{done}{destination}")


def _comparison(meaning: Comparison, style: Style) -> str:
    subject, other, direction = meaning.seen(style)
    comparative = lexicon.COMPARATIVES[meaning.verb].chinese[direction]
    not_ = "不" if meaning.negated else ""
    return _clause(meaning, style, noun_phrase(subject), f"{not_}比{noun_phrase(other)}{comparative}")


def _position(meaning: Position, style: Style) -> str:
    subject, other, direction = meaning.seen(style)
    position = lexicon.POSITIONS[meaning.verb].chinese[direction]
    not_ = "不" if meaning.negated else ""
    return _clause(meaning, style, noun_phrase(subject), f"{not_}在{noun_phrase(other)}{position}")


def _arrival(meaning: Arrival, style: Style) -> str:
    verb = ("到达", "离开")[meaning.leaving]
    subject, other, later = meaning.seen(style)
    place = lexicon.CITIES[meaning.place].chinese
    return _clause(
        meaning, style, noun_phrase(subject), f"在{noun_phrase(other)}之{('前', '后')[later]}{verb}了{place}"
    )
