"""A small German-English grammar: whole sentences in both languages at once, with their word alignment.

Each rule is a method of `Grammar` that builds German words in German order and English words in English
order. An English word holds the German words that it translates, so however a rule orders the two sides, the
alignment is known at the end. Words are objects and are compared by identity.

What makes the pair hard to translate word by word:

* the verb: second in main clauses, last in subordinate ones; participles and infinitives at the end; prefixes
  that leave their verb ("sie ruft den Arzt heute an"); "do" in English questions and negations;
* tense: the perfect becomes the simple past, the present "is buying" or "buys", depending on the adverb;
* noun phrases: gender, number, case and three adjective declensions against one English form; "das Auto des
  Arztes" is "the doctor's car"; only the case tells a fronted object from a subject;
* numbers, prices, dates, years and times of day in words: "um halb vier" is "at half past three".

A German sentence has exactly one translation here, so counting exact matches is fair.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import lexicon
import number_words as numbers
from lexicon import Adjective, Noun, Verb

NOMINATIVE, ACCUSATIVE, DATIVE, GENITIVE = range(4)
# Persons that the verb agrees with: ich, du, er/sie/es, and wir/sie (plural), whose form is the infinitive.
ICH, DU, ER, WIR = range(4)

HABEN = "habe hast hat haben".split()
SEIN = "bin bist ist sind".split()
WERDEN = "werde wirst wird werden".split()
BE = "am are is are".split()
DO = "do do does do".split()

# Tenses; the names of MODALS are used in the same place.
PAST, NOW, HABIT, FUTURE = "past", "now", "habit", "future"
# German forms, English auxiliary (or the two forms of a verb that needs "do"), words before the infinitive
MODALS = {
    "können": ("kann kannst kann können", "can", ""),
    "sollen": ("soll sollst soll sollen", "should", ""),
    "dürfen": ("darf darfst darf dürfen", "may", ""),
    "möchten": ("möchte möchtest möchte möchten", "would", "like to"),
    "müssen": ("muss musst muss müssen", "have has", "to"),
    "wollen": ("will willst will wollen", "want wants", "to"),
}
TENSES = (PAST, PAST, NOW, HABIT, FUTURE, *MODALS)

# Where a clause puts its finite verb.
SECOND, FIRST, LAST = "second", "first", "last"

PRONOUNS = [
    ("ich", ICH, "I"),
    ("du", DU, "you"),
    ("er", ER, "he"),
    ("sie", ER, "she"),
    ("wir", WIR, "we"),
    ("sie", WIR, "they"),
]
OBJECT_PRONOUNS = {
    ACCUSATIVE: [("mich", "me"), ("dich", "you"), ("ihn", "him"), ("uns", "us")],
    DATIVE: [("mir", "me"), ("dir", "you"), ("ihm", "him"), ("ihr", "her"), ("uns", "us"), ("ihnen", "them")],
}
# "I visit me" and the like would need a reflexive pronoun.
REFLEXIVE = {"I": ("me", "us"), "you": ("you",), "we": ("me", "us")}
CONTRACTIONS = {"in dem": "im", "an dem": "am", "zu dem": "zum", "zu der": "zur", "von dem": "vom"}
FREQUENCY = {"oft": "often", "immer": "always", "manchmal": "sometimes", "nie": "never", "selten": "rarely"}


class De:
    """A German word."""

    __slots__ = ("text",)

    def __init__(self, text: str):
        self.text = text


class En:
    """An English word, the German words that it translates (sure) and others it may be linked to."""

    __slots__ = ("possible", "sure", "text")

    def __init__(self, text: str, *sure: De, possible: Iterable[De] = ()):
        self.text = text
        self.sure = sure
        self.possible = tuple(possible)


class Phrase(NamedTuple):
    """German words and English words, each in the order of their language."""

    de: list[De]
    en: list[En]


NOTHING = Phrase([], [])


class Sentence(NamedTuple):
    """A finished pair: tokens, links (German position, English position), and what it is made of.

    `facts` holds ("number", n) for each number word from 21 to 99 and ("pair", verb, object noun).
    """

    de: list[str]
    en: list[str]
    sure: list[tuple[int, int]]
    possible: list[tuple[int, int]]
    facts: frozenset


class Time(NamedTuple):
    """An adverbial of time. English puts "often" before the verb; "gerade" cannot open a German sentence."""

    phrase: Phrase
    can_open: bool = True
    before_verb: bool = False


@dataclass
class Predicate:
    """A verb with all that belongs to it but subject, tense and time."""

    verb: Verb | None = None  # None: "ist"
    negator: De | None = None
    pronouns: list[De] = field(default_factory=list)  # German object pronouns, before the time
    middle: list[De] = field(default_factory=list)  # the other German words, after the time
    topic: list[De] = field(default_factory=list)  # the part of `middle` that may open the sentence
    object: list[En] = field(default_factory=list)
    rest: list[En] = field(default_factory=list)
    particle_last: bool = False  # "picked him up", not "picked up him"


class VerbGroup(NamedTuple):
    """The verb of a clause: German finite word and end of the clause; English auxiliary, verb, particle."""

    finite: De
    tail: list[De]
    auxiliary: list[En]
    verb: list[En]
    particle: list[En]


def same(words: str | list[str], *sure: De) -> list[En]:
    """English words that all translate the same German words."""
    return [En(word, *sure) for word in (words.split() if isinstance(words, str) else words)]


def word(german: str, english: str) -> Phrase:
    """One German word and its translation, of any number of words."""
    de = De(german)
    return Phrase([de], same(english, de))


def join(*phrases: Phrase) -> Phrase:
    """Phrases in the same order in both languages."""
    return Phrase([de for phrase in phrases for de in phrase.de], [en for phrase in phrases for en in phrase.en])


def swap(*phrases: Phrase) -> Phrase:
    """Phrases in the given order in German and in the opposite order in English."""
    return Phrase(join(*phrases).de, join(*phrases[::-1]).en)


def with_article(words: list[En]) -> list[En]:
    """Turns "a" into "an" where the next word asks for it."""
    if words[0].text == "a" and words[1].text[0] in "aeiou":
        words[0].text = "an"
    return words


def form(table: dict[str, str], gender: str, case: int) -> str:
    """The entry of one of the lexicon's declension tables; "-" stands for no ending."""
    return table[gender].split()[case].strip("-")


class Grammar:
    """Draws sentence pairs; the same seed gives the same sentences."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.facts: set[tuple] = set()

    def sentence(self) -> Sentence:
        """Draws one sentence pair."""
        self.facts = set()
        rule = self.choose(
            *[self.plain] * 4,
            *[self.question] * 2,
            self.reason,
            self.fronted_clause,
            self.that,
            self.asked,
            self.relative,
            self.purpose,
        )
        phrase, mark = rule()
        return finish(join(phrase, word(mark, mark)), frozenset(self.facts))

    def choose(self, *options):
        """One of the options, all equally likely; repeat an option to make it likelier."""
        return options[int(self.rng.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    # Sentences: each rule returns the phrase and its closing mark.

    def plain(self) -> tuple[Phrase, str]:
        """One main clause: Gestern hat die Frau das Auto verkauft."""
        return self.clause(SECOND), "."

    def reason(self) -> tuple[Phrase, str]:
        """A reason behind the main clause: Er arbeitet, weil sie schläft. No comma in English."""
        conjunction = word(*self.choose(("weil", "because"), ("obwohl", "although")))
        return join(self.clause(SECOND), comma(), conjunction, self.clause(LAST)), "."

    def fronted_clause(self) -> tuple[Phrase, str]:
        """A reason in front, and the main clause begins with its verb: Weil sie schläft, arbeitet er."""
        conjunction, tense = self.choose(
            (("weil", "because"), None),
            (("obwohl", "although"), None),
            (("falls", "if"), self.choose(*MODALS)),
        )
        both = word(",", ",")
        return join(word(*conjunction), self.clause(LAST, tense), both, self.clause(SECOND, opened=True)), "."

    def that(self) -> tuple[Phrase, str]:
        """A clause of content: Ich glaube, dass sie schläft."""
        matrix = self.matrix(self.choose(*lexicon.SAYING))
        return join(matrix, comma(), word("dass", "that"), self.clause(LAST)), "."

    def asked(self) -> tuple[Phrase, str]:
        """An indirect question: Sie fragt, warum er arbeitet. Wir wissen nicht, ob sie schläft."""
        knowing = next(verb for verb in lexicon.SAYING if verb.infinitive == "wissen")
        matrix = self.matrix(lexicon.ASKING) if self.chance(0.5) else self.matrix(knowing, De("nicht"))
        question_word = self.choose(("ob", "whether"), ("warum", "why"), ("wann", "when"))
        return join(matrix, comma(), self.after(question_word, LAST)), "."

    def question(self) -> tuple[Phrase, str]:
        """A direct question: Wann hat er gearbeitet? Schläft sie heute?"""
        question_word = self.choose(None, None, ("warum", "why"), ("wann", "when"))
        return (self.after(question_word, FIRST) if question_word else self.clause(FIRST)), "?"

    def after(self, question_word: tuple[str, str], position: str) -> Phrase:
        """A question word and its clause; "wann" needs a clause that leaves the time open."""
        if question_word[0] != "wann":
            return join(word(*question_word), self.clause(position))
        tense = self.choose(PAST, FUTURE, *MODALS)
        return join(word(*question_word), self.action(position, tense, time=False))

    def relative(self) -> tuple[Phrase, str]:
        """A relative clause, commas in German only: Der Mann, der das Auto gekauft hat, schläft jetzt."""
        noun, plural = self.person(), self.chance(0.2)
        head = self.noun_phrase(noun, NOMINATIVE, "the", plural, self.adjective(noun))
        person = WIR if plural else ER
        pronoun = word(form(lexicon.DEFINITE, "p" if plural else noun.gender, NOMINATIVE), "who")
        inner = self.action(LAST, self.choose(*TENSES), subject=(pronoun, person))
        subject = join(head, comma(), inner, comma())
        return self.action(SECOND, self.choose(*TENSES), subject=(subject, person), opening="subject"), "."

    def purpose(self) -> tuple[Phrase, str]:
        """An infinitive of purpose: Er fährt nach Berlin, um die Frau abzuholen."""
        subject = self.subject()
        main = self.action(SECOND, self.choose(*TENSES), subject=subject)
        predicate = self.transitive(subject, negated=False)
        verb, um = predicate.verb, De("um")
        tail = [De(f"{verb.prefix}zu{verb.forms[WIR]}")] if verb.prefix else [De("zu"), De(verb.infinitive)]
        de = [De(","), um, *predicate.pronouns, *predicate.middle, *tail]
        start = [En("in", um), En("order", um), En("to", um, possible=tail[:1])]
        lexical, particle = [En(verb.base, tail[-1])], same(verb.particle, tail[-1])
        return join(main, Phrase(de, start + english_object(predicate, lexical, particle))), "."

    def matrix(self, verb: Verb, negator: De | None = None) -> Phrase:
        """Subject and verb of a main clause on which another one depends, in the simple present."""
        (subject, person) = self.subject()
        finite = De(verb.forms[person])
        if negator:
            en = [En(DO[person], possible=[finite]), En("not", negator), En(verb.base, finite)]
            return join(subject, Phrase([finite, negator], en))
        return join(subject, Phrase([finite], [En(verb.third if person == ER else verb.base, finite)]))

    # Clauses

    def clause(self, position: str, tense: str | None = None, opened: bool = False) -> Phrase:
        """Any clause. `opened`: something that the caller supplies stands before the finite verb."""
        opening = "nothing" if opened else None
        if tense is None and self.chance(0.2):
            return self.choose(self.price_tag, self.description)(position, opened)
        return self.action(position, tense or self.choose(*TENSES), opening=opening)

    def action(self, position: str, tense: str, subject=None, time: bool = True, opening: str | None = None) -> Phrase:
        """Somebody does something: the rule behind most clauses.

        `opening` is what stands before a finite verb in second position: "subject", "time", "object", or
        "nothing" if the caller has put something there; None draws it.
        """
        subject = subject or self.subject()
        when = self.time(tense) if time and (tense in (NOW, HABIT) or self.chance(0.6)) else None
        negated = time and position != FIRST and tense != HABIT and self.chance(0.15)
        predicate = self.predicate(subject, negated)
        if opening is None:
            opening = self.opening(when, predicate)
        group = conjugate(predicate.verb, tense, subject[1], position, predicate.negator)
        return assemble(position, opening, subject[0], group, predicate, when)

    def opening(self, when: Time | None, predicate: Predicate) -> str:
        """What opens a main clause."""
        if when and when.can_open and self.chance(0.4):
            return "time"
        return "object" if predicate.topic and self.chance(0.15) else "subject"

    def price_tag(self, position: str, opened: bool) -> Phrase:
        """What something costs: Das neue Auto kostet zweihundert Euro."""
        subject = self.goods_subject()
        amount = self.amount(999)
        predicate = Predicate(lexicon.COSTING, middle=amount.de, object=amount.en)
        group = conjugate(lexicon.COSTING, self.choose(PAST, HABIT), subject[1], position)
        return assemble(position, "nothing" if opened else "subject", subject[0], group, predicate, None)

    def description(self, position: str, opened: bool) -> Phrase:
        """How somebody or something is: Der Mantel ist zu teuer."""
        noun = self.choose(*self.any_goods()) if self.chance(0.6) else self.person()
        subject, person = self.named_subject(noun)
        adjective = self.choose(*[a for a in lexicon.ADJECTIVES[noun.kind] if a not in lexicon.COLOURS])
        finite, negator = De(SEIN[person]), De("nicht") if position != FIRST and self.chance(0.2) else None
        degree = word(*self.choose(("sehr", "very"), ("zu", "too"))) if not negator and self.chance(0.5) else NOTHING
        state = join(degree, word(adjective.de, adjective.en))
        middle = ([negator] if negator else []) + state.de
        predicate = Predicate(None, negator, middle=middle, object=state.en)
        group = VerbGroup(finite, [], [En(BE[person], finite)], [], [])
        return assemble(position, "nothing" if opened else "subject", subject, group, predicate, None)

    # Predicates

    def predicate(self, subject: tuple[Phrase, int], negated: bool) -> Predicate:
        """A verb with its objects, its place and its price."""
        rule = self.choose(*[self.transitive] * 4, self.ditransitive, self.ditransitive, self.intransitive, self.motion)
        return rule(subject, negated)

    def transitive(self, subject: tuple[Phrase, int], negated: bool) -> Predicate:
        """A verb with an accusative object."""
        verb = self.choose(*lexicon.TRANSITIVE)
        if any(kind in lexicon.PEOPLE for kind in verb.objects) and self.chance(0.25):
            return self.with_pronoun(verb, subject, negated)
        predicate = self.with_object(verb, negated)
        if negated:
            return predicate
        extra = NOTHING
        if verb.infinitive in ("kaufen", "verkaufen") and self.chance(0.5):
            extra = self.price()
        elif self.chance(0.15):
            extra = self.place()
        predicate.middle += extra.de
        predicate.rest += extra.en
        return predicate

    def with_pronoun(self, verb: Verb, subject: tuple[Phrase, int], negated: bool) -> Predicate:
        """The object is a pronoun: early in German, and an English particle follows it."""
        pronoun = self.object_pronoun(ACCUSATIVE, subject)
        negator = De("nicht") if negated else None
        middle = [negator] if negator else []
        return Predicate(verb, negator, pronoun.de, middle, object=pronoun.en, particle_last=verb.movable)

    def with_object(self, verb: Verb, negated: bool) -> Predicate:
        """The object is a noun phrase; "nicht ein" is "kein"."""
        noun = self.choose(*self.object_nouns(verb))
        self.facts.add(("pair", verb.infinitive, noun.de))
        plural = self.chance(0.35)
        if negated and self.chance(0.4):
            phrase = self.noun_phrase(noun, ACCUSATIVE, "no", plural, self.adjective(noun))
            return Predicate(verb, phrase.de[0], middle=phrase.de, object=phrase.en)
        phrase = self.object_phrase(noun, plural, countable=not negated)
        negator = De("nicht") if negated else None
        masculine = noun.gender == "m" and not plural and phrase.de[0].text.endswith("n")
        middle = phrase.de + ([negator] if negator else [])
        return Predicate(verb, negator, middle=middle, topic=phrase.de if masculine else [], object=phrase.en)

    def ditransitive(self, subject: tuple[Phrase, int], negated: bool) -> Predicate:
        """Somebody gives something to somebody."""
        predicate = self.with_object(self.choose(*lexicon.DITRANSITIVE), negated)
        predicate.particle_last = predicate.verb.movable
        predicate.topic = []
        if self.chance(0.35):
            pronoun = self.object_pronoun(DATIVE, subject)
            predicate.pronouns = pronoun.de
            predicate.rest = [En("to", possible=pronoun.de), *pronoun.en]
            return predicate
        noun = self.person()
        plural = self.chance(0.15)
        recipient = self.noun_phrase(noun, DATIVE, self.whose(noun), plural, self.adjective(noun))
        predicate.middle = recipient.de + predicate.middle
        predicate.rest = [En("to", possible=recipient.de[:1]), *recipient.en]
        if noun.gender != "f" and not plural and not negated:
            predicate.topic = recipient.de
        return predicate

    def intransitive(self, subject: tuple[Phrase, int], negated: bool) -> Predicate:
        """A verb without an object, perhaps with a place."""
        verb = self.choose(*lexicon.INTRANSITIVE)
        if negated:
            negator = De("nicht")
            return Predicate(verb, negator, middle=[negator])
        place = self.place() if self.chance(0.5) else NOTHING
        return Predicate(verb, middle=place.de, rest=place.en)

    def motion(self, subject: tuple[Phrase, int], negated: bool) -> Predicate:
        """A verb with a direction; "nicht" stands before it."""
        verb = self.choose(*lexicon.MOTION)
        goal = self.direction(verb)
        negator = De("nicht") if negated else None
        return Predicate(verb, negator, middle=([negator] if negator else []) + goal.de, rest=goal.en)

    # Noun phrases

    def subject(self) -> tuple[Phrase, int]:
        """A subject and the person that the verb agrees with."""
        if self.chance(0.4):
            german, person, english = self.choose(*PRONOUNS)
            return word(german, english), person
        return self.named_subject(self.person())

    def named_subject(self, noun: Noun) -> tuple[Phrase, int]:
        """A noun phrase in the nominative."""
        plural = self.chance(0.2)
        determiner = self.whose(noun)
        return self.noun_phrase(noun, NOMINATIVE, determiner, plural, self.adjective(noun)), WIR if plural else ER

    def goods_subject(self) -> tuple[Phrase, int]:
        """A thing with a price."""
        return self.named_subject(self.choose(*self.any_goods()))

    def whose(self, noun: Noun) -> str:
        """A determiner for a known person or thing; relatives are mostly somebody's."""
        if noun.kind == "family":
            return self.choose("the", "my", "my", "your", "our")
        known = ("the", "the", "the", "this")
        return self.choose(*known) if noun.kind == "stranger" else self.choose(*known, "my", "your", "our")

    def object_phrase(self, noun: Noun, plural: bool, countable: bool) -> Phrase:
        """An accusative object: a known one, a new one, a number of them, or somebody's."""
        adjective = self.adjective(noun)
        if plural and countable and self.chance(0.6):
            return self.noun_phrase(noun, ACCUSATIVE, self.cardinal(self.count(99)), True, adjective)
        if noun.kind not in lexicon.PEOPLE and self.chance(0.15):
            owner = self.person()
            who = self.noun_phrase(owner, GENITIVE, self.whose(owner), False, None)
            return self.noun_phrase(noun, ACCUSATIVE, "the", plural, adjective, who)
        determiner = self.choose("a", "a", self.whose(noun)) if countable else self.whose(noun)
        return self.noun_phrase(noun, ACCUSATIVE, determiner, plural, adjective)

    def noun_phrase(
        self,
        noun: Noun,
        case: int,
        determiner: str | Phrase,
        plural: bool,
        adjective: Adjective | None,
        owner: Phrase | None = None,
    ) -> Phrase:
        """Determiner, adjective and noun agree; a German genitive behind becomes an English one in front.

        `determiner` is "the", "this", "a", "no", a possessive of English, or a number, given as a phrase.
        """
        gender = "p" if plural else noun.gender
        first, endings = self.determiner(determiner, gender, case)
        quality = NOTHING
        if adjective:
            quality = word(adjective.stem + form(endings, gender, case), adjective.en)
        head = word(noun.german(plural, case), noun.en_plural if plural else noun.en)
        if owner is None:
            return Phrase(join(first, quality, head).de, with_article(join(first, quality, head).en))
        possessor = [*owner.en[:-1], En(owner.en[-1].text + "'s", *owner.en[-1].sure, possible=first.de)]
        return Phrase(join(first, quality, head, owner).de, possessor + join(quality, head).en)

    def determiner(self, name: str | Phrase, gender: str, case: int) -> tuple[Phrase, dict[str, str]]:
        """The determiner and the adjective endings that follow it."""
        if isinstance(name, Phrase):
            return name, lexicon.STRONG
        if name == "the":
            return word(form(lexicon.DEFINITE, gender, case), "the"), lexicon.WEAK
        if name == "this":
            return word("dies" + form(lexicon.THIS, gender, case), "these" if gender == "p" else "this"), lexicon.WEAK
        if name == "a" and gender == "p":
            return NOTHING, lexicon.STRONG
        if name == "no":
            return word("kein" + form(lexicon.EIN, gender, case), "any" if gender == "p" else "a"), lexicon.MIXED
        stem = {"a": "ein", "my": "mein", "your": "dein", "our": "unser"}[name]
        return word(stem + form(lexicon.EIN, gender, case), name), lexicon.MIXED

    def object_pronoun(self, case: int, subject: tuple[Phrase, int]) -> Phrase:
        """A pronoun that does not mean the subject."""
        clash = REFLEXIVE.get(subject[0].en[0].text, ())
        return word(*self.choose(*[pair for pair in OBJECT_PRONOUNS[case] if pair[1] not in clash]))

    def adjective(self, noun: Noun) -> Adjective | None:
        """One that suits the noun, or none."""
        return self.choose(*lexicon.ADJECTIVES[noun.kind]) if self.chance(0.35) else None

    def person(self) -> Noun:
        """A person of any kind."""
        return self.choose(*lexicon.NOUNS[self.choose(*lexicon.PEOPLE)])

    def any_goods(self) -> list[Noun]:
        """The nouns of one kind of thing."""
        return lexicon.NOUNS[self.choose(*lexicon.GOODS)]

    def object_nouns(self, verb: Verb) -> list[Noun]:
        """The nouns of one kind that the verb takes."""
        return lexicon.NOUNS[self.choose(*verb.objects)]

    # Numbers, prices, places

    def count(self, largest: int) -> int:
        """A number of things, small ones more often; no 101 and the like, where German inflects the "ein"."""
        number = self.rng.randint(2, 12) if self.chance(0.35) else self.rng.randint(13, largest)
        return number if number % 100 != 1 else number + 1

    def note(self, number: int) -> int:
        """Keeps the two-digit part of a number as a fact about the sentence."""
        if number % 100 > 20 and number % 10:
            self.facts.add(("number", number % 100))
        return number

    def cardinal(self, number: int) -> Phrase:
        """A number: vierundzwanzig, twenty-four."""
        return word(numbers.german_cardinal(self.note(number))[0], " ".join(numbers.english_cardinal(number)))

    def amount(self, largest: int) -> Phrase:
        """A sum: vierundzwanzig Euro, twenty-four euros."""
        return join(self.cardinal(self.count(largest)), word("Euro", "euros"))

    def price(self) -> Phrase:
        """A price: für dreihundert Euro."""
        return join(word("für", "for"), self.amount(999))

    def place(self) -> Phrase:
        """Where: im alten Garten, in Berlin."""
        if self.chance(0.2):
            return join(word("in", "in"), word(*self.choose(*lexicon.CITIES.items())))
        place = self.choose(*lexicon.PLACES)
        return self.place_phrase(place, place.preposition, " ".join(place.en_preposition))

    def direction(self, verb: Verb) -> Phrase:
        """Where to: zum Bahnhof, nach Berlin; where from: vom Bahnhof, aus Berlin."""
        back = verb.infinitive == "zurückkommen"
        if self.choose(*verb.objects) == "city":
            preposition = ("aus", "from") if back else ("nach", "to")
            return join(word(*preposition), word(*self.choose(*lexicon.CITIES.items())))
        return self.place_phrase(self.choose(*lexicon.PLACES), *(("von", "from") if back else ("zu", "to")))

    def place_phrase(self, place: lexicon.Place, preposition: str, english: str) -> Phrase:
        """Preposition and dative, contracted where German does it: "im", "zur"."""
        article = form(lexicon.DEFINITE, place.gender, DATIVE)
        contracted = CONTRACTIONS.get(f"{preposition} {article}")
        start = (
            word(contracted, english + " the") if contracted else join(word(preposition, english), word(article, "the"))
        )
        quality = NOTHING
        if self.chance(0.15):
            adjective = self.choose(*lexicon.PLACE_ADJECTIVES)
            quality = word(adjective.stem + form(lexicon.WEAK, place.gender, DATIVE), adjective.en)
        return join(start, quality, word(place.de, place.en))

    # Time

    def time(self, tense: str) -> Time:
        """An adverbial that suits the tense; for the present it decides between "is buying" and "buys"."""
        if tense == NOW:
            german, english = self.choose(("heute", "today"), ("jetzt", "now"), ("gerade", "right now"))
            return Time(word(german, english), can_open=german != "gerade")
        if tense == HABIT:
            return self.habit()
        rules = [self.past_time] * 4 if tense == PAST else [self.future_time] * 2
        return Time(self.choose(*rules, self.date, self.clock, self.day, self.day_and_clock)())

    def habit(self) -> Time:
        """How often: oft, jeden Montag."""
        if self.chance(0.5):
            return Time(word(*self.choose(*FREQUENCY.items())), can_open=False, before_verb=True)
        return Time(self.every("jed", "every"))

    def every(self, stem: str, english: str) -> Phrase:
        """A time in the accusative: jeden Montag, letzte Woche, nächstes Jahr."""
        if self.chance(0.5):
            german, name = self.choose(*lexicon.WEEKDAYS.items())
            return join(word(stem + "en", english), word(german, name))
        ending, german, name = self.choose(("en", "Monat", "month"), ("e", "Woche", "week"), ("es", "Jahr", "year"))
        return join(word(stem + ending, english), word(german, name))

    def past_time(self) -> Phrase:
        """A time that is over."""
        return self.choose(self.yesterday, self.last, self.ago, self.year)()

    def yesterday(self) -> Phrase:
        """One or two days ago."""
        return word(*self.choose(("gestern", "yesterday"), ("vorgestern", "the day before yesterday")))

    def last(self) -> Phrase:
        """The last one: letzten Montag."""
        return self.every("letzt", "last")

    def ago(self) -> Phrase:
        """How long ago: vor drei Jahren, three years ago."""
        return swap(word("vor", "ago"), self.span())

    def span(self) -> Phrase:
        """A length of time, in the dative: drei Jahren."""
        unit = self.choose(("Tagen", "days"), ("Wochen", "weeks"), ("Monaten", "months"), ("Jahren", "years"))
        return join(self.cardinal(self.count(99)), word(*unit))

    def year(self) -> Phrase:
        """A year: im Jahr neunzehnhundertvierundachtzig, in nineteen eighty-four."""
        im, name = De("im"), De("Jahr")
        return join(Phrase([im, name], [En("in", im, possible=[name])]), self.year_words())

    def year_words(self) -> Phrase:
        """From 1910 to 1999 or from 2001 to 2024."""
        number = self.rng.randint(1910, 1999) if self.chance(0.75) else self.rng.randint(2001, 2024)
        return word(numbers.german_year(self.note(number))[0], " ".join(numbers.english_year(number)))

    def future_time(self) -> Phrase:
        """A time to come: morgen, nächste Woche, in drei Jahren."""
        rule = self.choose("tomorrow", "next", "in")
        if rule == "tomorrow":
            return word(*self.choose(("morgen", "tomorrow"), ("übermorgen", "the day after tomorrow")))
        return self.every("nächst", "next") if rule == "next" else join(word("in", "in"), self.span())

    def day(self) -> Phrase:
        """A day of the week or a part of the day: am Montag, on Monday; am Abend, in the evening."""
        if self.chance(0.6):
            return join(word("am", "on"), word(*self.choose(*lexicon.WEEKDAYS.items())))
        part = self.choose(("Morgen", "morning"), ("Nachmittag", "afternoon"), ("Abend", "evening"))
        return join(word("am", "in the"), word(*part))

    def date(self) -> Phrase:
        """A date: am dritten Mai, on the third of May."""
        number = self.note(self.rng.randint(1, 31))
        month, name = self.choose(*lexicon.MONTHS.items())
        day = word(numbers.german_ordinal(number)[0], numbers.english_ordinal(number)[0])
        de = De(month)
        return join(word("am", "on the"), day, Phrase([de], [En("of", possible=[de, *day.de]), En(name, de)]))

    def clock(self) -> Phrase:
        """A time of day: um halb vier, at half past three; um zehn vor vier, at ten to four."""
        hour = self.rng.randint(1, 12)
        name = numbers.ENGLISH_SMALL[hour]
        german = "eins" if hour == 1 else numbers.GERMAN_SMALL[hour]
        kind = self.choose("full", "half", "quarter", "minutes")
        at = word("um", "at")
        if kind == "full":
            return join(at, word(numbers.GERMAN_SMALL[hour], name), word("Uhr", "o'clock"))
        if kind == "half":
            return join(at, word("halb", "half past"), word(german, numbers.ENGLISH_SMALL[(hour - 2) % 12 + 1]))
        side = word(*self.choose(("nach", "past"), ("vor", "to")))
        minutes = self.choose(("fünf", "five"), ("zehn", "ten"), ("zwanzig", "twenty"))
        part = word("Viertel", "a quarter") if kind == "quarter" else word(*minutes)
        return join(at, part, side, word(german, name))

    def day_and_clock(self) -> Phrase:
        """Both: am Montag um drei Uhr, at three o'clock on Monday."""
        return swap(self.day(), self.clock())


def comma() -> Phrase:
    """A comma that only German writes."""
    return Phrase([De(",")], [])


def conjugate(verb: Verb, tense: str, person: int, position: str, negator: De | None = None) -> VerbGroup:
    """The words of a verb in a tense, or after a modal verb, for a person and a place of the finite verb."""
    needs_do = position == FIRST or negator is not None
    if tense in (NOW, HABIT):
        return _present(verb, tense, person, position, needs_do)
    if tense == PAST:
        finite, main = De((SEIN if verb.sein else HABEN)[person]), De(verb.participle)
        auxiliary = [En("did", finite)] if needs_do else []
        head = [En(verb.base, main) if needs_do else En(verb.past, main, possible=[finite])]
    elif tense == FUTURE:
        finite, main = De(WERDEN[person]), De(verb.infinitive)
        auxiliary, head = [En("will", finite)], [En(verb.base, main)]
    else:
        forms, english, to = MODALS[tense]
        finite, main = De(forms.split()[person]), De(verb.infinitive)
        auxiliary, head = _modal(tense, english, finite, person, needs_do, negator)
        head += [*same(to, finite), En(verb.base, main)]
    return VerbGroup(finite, [main], auxiliary, head, same(verb.particle, main))


def _present(verb: Verb, tense: str, person: int, position: str, needs_do: bool) -> VerbGroup:
    """The German present: a separable prefix leaves the verb unless the verb is last."""
    separate = bool(verb.prefix) and position != LAST
    finite = De(verb.forms[person] if separate else verb.prefix + verb.forms[person])
    tail = [De(verb.prefix)] if separate else []
    sure, possible = ([finite], tail) if verb.particle else ([finite, *tail], [])
    if tense == NOW:
        auxiliary, text = [En(BE[person], possible=[finite])], verb.ing
    elif needs_do:
        auxiliary, text = [En(DO[person], possible=[finite])], verb.base
    else:
        auxiliary, text = [], verb.third if person == ER else verb.base
    particle = [En(part, *(tail or [finite]), possible=[finite] if tail else []) for part in verb.particle.split()]
    return VerbGroup(finite, tail, auxiliary, [En(text, *sure, possible=possible)], particle)


def _modal(
    name: str, english: str, finite: De, person: int, needs_do: bool, negator: De | None
) -> tuple[list[En], list[En]]:
    """Auxiliary and first word of the English verb: "can", "cannot", "has (to)", "does (not) have (to)"."""
    if negator and name == "können":
        return [En("cannot", finite, negator)], []
    if negator and name == "dürfen":
        return [En("must", finite)], []
    plain, *third = english.split()
    if not third:
        return [En(plain, finite)], []
    if needs_do:
        return [En(DO[person], possible=[finite])], [En(plain, finite)]
    return [], [En(third[0] if person == ER else plain, finite)]


def english_object(predicate: Predicate, verb: list[En], particle: list[En]) -> list[En]:
    """Verb, particle, object and the rest, in English order."""
    if predicate.particle_last:
        return verb + predicate.object + particle + predicate.rest
    return verb + particle + predicate.object + predicate.rest


def assemble(
    position: str, opening: str, subject: Phrase, group: VerbGroup, predicate: Predicate, when: Time | None
) -> Phrase:
    """Puts the parts of a clause into the order of each language."""
    time = when.phrase if when else NOTHING
    first = german_opening(position, opening, subject, predicate, time)
    middle = subject.de + predicate.pronouns + time.de + predicate.middle
    field_ = [de for de in middle if de not in first] + group.tail
    de = [*first, *field_, group.finite] if position == LAST else [*first, group.finite, *field_]

    negation = predicate.negator
    said = any(negation in en.sure for en in group.auxiliary)  # "cannot" is one word
    adverb = time.en if when and when.before_verb else []
    start = subject.en + group.auxiliary if position != FIRST else group.auxiliary + subject.en
    no = [En("not", negation)] if negation and not said else []
    en = start + no + adverb + english_object(predicate, group.verb, group.particle)
    if adverb or not when:
        return Phrase(de, en)
    return Phrase(de, time.en + en if position == SECOND and opening == "time" else en + time.en)


def german_opening(position: str, opening: str, subject: Phrase, predicate: Predicate, time: Phrase) -> list[De]:
    """The words before a finite verb in second position."""
    if position != SECOND:
        return []
    return {"subject": subject.de, "time": time.de, "object": predicate.topic, "nothing": []}[opening]


def finish(phrase: Phrase, facts: frozenset) -> Sentence:
    """Tokens and link positions. A first word has no capital letter, as is usual in training."""
    place = {de: index for index, de in enumerate(phrase.de)}
    sure = [(place[de], index) for index, en in enumerate(phrase.en) for de in en.sure]
    possible = [(place[de], index) for index, en in enumerate(phrase.en) for de in en.possible]
    de, en = [de.text for de in phrase.de], [en.text for en in phrase.en]
    return Sentence(de, en, sorted(sure), sorted(possible), facts)
