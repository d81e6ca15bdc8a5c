"""The words of the quick start: small tables, one line per entry, German on the left.

Nouns:      German singular, gender, plural, genitive ending | English singular [plural, if not regular]
            (a genitive in -n or -en: accusative and dative have this ending too, "den Studenten")
Adjectives: stem to which the endings are added [form without ending, if different] | English
Verbs:      infinitive, ich-form, du-form, er-form, participle; "an+rufen" has a separable prefix, verbs
            with * before the participle take "sein" | English base, -s form, past, -ing form [and the rest of
            a phrasal verb, with + if it may follow the object] | kinds, or groups of kinds, of its object
Places:     German preposition, noun, gender | English preposition(s), noun
"""

from collections.abc import Sequence
from typing import NamedTuple

CASES = {"nominative": 0, "accusative": 1, "dative": 2, "genitive": 3}
# Per gender (p: plural of any gender) the forms in the four cases.
DEFINITE = {"m": "der den dem des", "f": "die die der der", "n": "das das dem des", "p": "die die den der"}
THIS = {"m": "er en em es", "f": "e e er er", "n": "es es em es", "p": "e e en er"}
EIN = {"m": "- en em es", "f": "e e er er", "n": "- - em es", "p": "e e en er"}
# Endings of adjectives after der/dieser, after ein/kein/mein, and (plural only) after no article or a number.
WEAK = {"m": "e en en en", "f": "e e en en", "n": "e e en en", "p": "en en en en"}
MIXED = {"m": "er en en en", "f": "e e en en", "n": "es es en en", "p": "en en en en"}
STRONG = {"p": "e e en er"}


class Noun(NamedTuple):
    """A noun with its German gender, plural and genitive ending and its English singular and plural."""

    kind: str
    de: str
    gender: str
    de_plural: str
    genitive: str
    en: str
    en_plural: str

    def german(self, plural: bool, case: int) -> str:
        """The German form in a case (0 to 3, see CASES)."""
        if plural:
            return self.de_plural + ("n" if case == 2 and self.de_plural[-1] not in "ns" else "")
        if self.genitive in ("n", "en"):
            return self.de + (self.genitive if case else "")
        return self.de + (self.genitive if case == 3 else "")


class Adjective(NamedTuple):
    """An adjective: `stem` takes endings, `de` stands alone after "ist"."""

    stem: str
    de: str
    en: str


class Verb(NamedTuple):
    """A verb: `forms` are the German ich, du, er and wir forms without the separable prefix.

    `particle` is the rest of an English phrasal verb; it may follow the object if `movable` (picked him up).
    """

    prefix: str
    infinitive: str
    forms: tuple[str, str, str, str]
    participle: str
    sein: bool
    base: str
    third: str
    past: str
    ing: str
    particle: str
    movable: bool
    objects: tuple[str, ...]


class Place(NamedTuple):
    """A place with the German preposition that takes the dative: "in", "Garten", "m" gives "im Garten"."""

    preposition: str
    de: str
    gender: str
    en_preposition: tuple[str, ...]
    en: str


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def _rows(table: str) -> list[list[list[str]]]:
    """The cells of a table, each split at white space; row and cell separators are line end and "|"."""
    return [[cell.split() for cell in line.split("|")] for line in table.strip().splitlines()]


def _nouns(kind: str, table: str) -> list[Noun]:
    nouns = []
    for (de, gender, de_plural, *genitive), english in _rows(table):
        ending = genitive[0].lstrip("-") if genitive else ""
        nouns.append(
            Noun(
                kind,
                de,
                gender,
                de_plural,
                ending,
                english[0],
                english[-1] if english[1:] else _plural(english[0]),
            )
        )
    return nouns


def _adjectives(table: str) -> list[Adjective]:
    return [Adjective(german[0], german[-1], english[0]) for german, english in _rows(table)]


def _verbs(table: str) -> list[Verb]:
    return [_verb(*row) for row in _rows(table)]


def _verb(german: list[str], english: list[str], objects: Sequence[str] = ()) -> Verb:
    infinitive, ich, du, er, participle = german
    prefix, _, stem = infinitive.rpartition("+")
    base, third, past, ing, *particle = english
    return Verb(
        prefix=prefix,
        infinitive=prefix + stem,
        forms=(ich, du, er, stem),
        participle=prefix + participle.lstrip("*"),
        sein=participle.startswith("*"),
        base=base,
        third=third,
        past=past,
        ing=ing,
        particle=" ".join(particle).lstrip("+"),
        movable=bool(particle) and particle[0].startswith("+"),
        objects=tuple(kind for name in objects for kind in GROUPS.get(name, (name,))),
    )


NOUNS = {
    "stranger": _nouns(
        "stranger",
        """
        Mann m Männer -es          | man men
        Frau f Frauen              | woman women
        Koch m Köche -s            | cook
        Köchin f Köchinnen         | cook
        Maler m Maler -s           | painter
        Bäcker m Bäcker -s         | baker
        Bäuerin f Bäuerinnen       | farmer
        Richter m Richter -s       | judge
        Richterin f Richterinnen   | judge
        Sängerin f Sängerinnen     | singer
        Polizist m Polizisten -en  | policeman policemen
        Schauspieler m Schauspieler -s | actor
        Journalist m Journalisten -en | journalist
        Student m Studenten -en    | student
        Studentin f Studentinnen   | student
        """,
    ),
    "acquaintance": _nouns(
        "acquaintance",
        """
        Lehrer m Lehrer -s         | teacher
        Lehrerin f Lehrerinnen     | teacher
        Arzt m Ärzte -es           | doctor
        Ärztin f Ärztinnen         | doctor
        Nachbar m Nachbarn -n      | neighbour
        Nachbarin f Nachbarinnen   | neighbour
        Chef m Chefs -s            | boss
        Gast m Gäste -es           | guest
        Kunde m Kunden -n          | customer
        Kundin f Kundinnen         | customer
        Freund m Freunde -es       | friend
        Freundin f Freundinnen     | friend
        Anwältin f Anwältinnen     | lawyer
        Gärtner m Gärtner -s       | gardener
        """,
    ),
    "family": _nouns(
        "family",
        """
        Bruder m Brüder -s         | brother
        Schwester f Schwestern     | sister
        Onkel m Onkel -s           | uncle
        Tante f Tanten             | aunt
        Sohn m Söhne -es           | son
        Tochter f Töchter          | daughter
        Cousine f Cousinen         | cousin
        """,
    ),
    "child": _nouns(
        "child",
        """
        Kind n Kinder -es          | child children
        Junge m Jungen -n          | boy
        Mädchen n Mädchen -s       | girl
        Schüler m Schüler -s       | pupil
        Schülerin f Schülerinnen   | pupil
        """,
    ),
    "text": _nouns(
        "text",
        """
        Buch n Bücher -es          | book
        Brief m Briefe -es         | letter
        Zeitung f Zeitungen        | newspaper
        Roman m Romane -s          | novel
        Gedicht n Gedichte -es     | poem
        Bericht m Berichte -es     | report
        Zeitschrift f Zeitschriften | magazine
        Postkarte f Postkarten     | postcard
        """,
    ),
    "food": _nouns(
        "food",
        """
        Apfel m Äpfel -s           | apple
        Birne f Birnen             | pear
        Kuchen m Kuchen -s         | cake
        Brötchen n Brötchen -s     | roll
        Kartoffel f Kartoffeln     | potato potatoes
        Ei n Eier -s               | egg
        Pizza f Pizzas             | pizza
        Orange f Orangen           | orange
        Tomate f Tomaten           | tomato tomatoes
        Wurst f Würste             | sausage
        """,
    ),
    "clothes": _nouns(
        "clothes",
        """
        Hemd n Hemden -es          | shirt
        Rock m Röcke -es           | skirt
        Mantel m Mäntel -s         | coat
        Hut m Hüte -es             | hat
        Jacke f Jacken             | jacket
        Kleid n Kleider -es        | dress
        Pullover m Pullover -s     | sweater
        Schal m Schals -s          | scarf scarves
        """,
    ),
    "vehicle": _nouns(
        "vehicle",
        """
        Auto n Autos -s            | car
        Fahrrad n Fahrräder -s     | bicycle
        Motorrad n Motorräder -s   | motorcycle
        Boot n Boote -es           | boat
        """,
    ),
    "device": _nouns(
        "device",
        """
        Lampe f Lampen             | lamp
        Uhr f Uhren                | clock
        Computer m Computer -s     | computer
        Radio n Radios -s          | radio
        Kamera f Kameras           | camera
        Gitarre f Gitarren         | guitar
        """,
    ),
    "thing": _nouns(
        "thing",
        """
        Tisch m Tische -es         | table
        Stuhl m Stühle -es         | chair
        Regenschirm m Regenschirme -s | umbrella
        Schlüssel m Schlüssel -s   | key
        Bild n Bilder -es          | picture
        Messer n Messer -s         | knife knives
        Teller m Teller -s         | plate
        Spiegel m Spiegel -s       | mirror
        Ball m Bälle -es           | ball
        Blume f Blumen             | flower
        Geschenk n Geschenke -s    | present
        Teppich m Teppiche -s      | carpet
        """,
    ),
    "opening": _nouns(
        "opening",
        """
        Tür f Türen                | door
        Fenster n Fenster -s       | window
        Koffer m Koffer -s         | suitcase
        Kiste f Kisten             | box
        Schrank m Schränke -es     | cupboard
        Flasche f Flaschen         | bottle
        """,
    ),
    "room": _nouns(
        "room",
        """
        Zimmer n Zimmer -s         | room
        Küche f Küchen             | kitchen
        Keller m Keller -s         | cellar
        Garage f Garagen           | garage
        Büro n Büros -s            | office
        Wohnung f Wohnungen        | flat
        Werkstatt f Werkstätten    | workshop
        """,
    ),
}
PEOPLE = ("stranger", "acquaintance", "family", "child")
GOODS = ("text", "food", "clothes", "vehicle", "device", "thing")
GROUPS = {"people": PEOPLE, "goods": GOODS}

_CHARACTER = """
        freundlich  | friendly
        klug        | clever
        nett        | nice
        fröhlich    | cheerful
        neugierig   | curious
        höflich     | polite
        ruhig       | quiet
        glücklich   | happy
        traurig     | sad
        müd müde    | tired
"""
_AGE = """
        alt         | old
        jung        | young
"""
_LOOKS = """
        neu         | new
        klein       | small
        groß        | big
        alt         | old
        schön       | beautiful
        schmutzig   | dirty
"""
_COLOURS = """
        rot         | red
        blau        | blue
        grün        | green
        schwarz     | black
        weiß        | white
        gelb        | yellow
"""
_VALUE = """
        teur teuer  | expensive
        billig      | cheap
"""
_READING = """
        interessant | interesting
        langweilig  | boring
        lang        | long
        kurz        | short
        alt         | old
        neu         | new
        traurig     | sad
"""
_TASTE = """
        frisch      | fresh
        groß        | big
        klein       | small
        warm        | warm
        kalt        | cold
"""


def _join(*tables: str) -> list[Adjective]:
    return _adjectives("\n".join(table.strip() for table in tables))


COLOURS = _join(_COLOURS)
ADJECTIVES = {
    "stranger": _join(_CHARACTER, _AGE, "berühmt | famous", "reich | rich"),
    "acquaintance": _join(_CHARACTER, _AGE),
    "family": _join(_CHARACTER),
    "child": _join(_CHARACTER, "klein | small"),
    "text": _join(_READING, _VALUE),
    "food": _join(_TASTE, _VALUE),
    "clothes": _join(_LOOKS, _COLOURS, _VALUE, "warm | warm", "lang | long"),
    "vehicle": _join(_LOOKS, _COLOURS, _VALUE, "schnell | fast"),
    "device": _join(_LOOKS, _COLOURS, _VALUE, "schwer | heavy", "leicht | light"),
    "thing": _join(_LOOKS, _COLOURS, _VALUE, "schwer | heavy", "leicht | light"),
    "opening": _join(_LOOKS, _COLOURS, "schwer | heavy"),
    "room": _join(_LOOKS, "hell | bright", "warm | warm", "kalt | cold"),
}

# Verbs with an accusative object, and the kinds of noun that it can be.
TRANSITIVE = _verbs(
    """
    kaufen kaufe kaufst kauft gekauft | buy buys bought buying | goods
    verkaufen verkaufe verkaufst verkauft verkauft | sell sells sold selling | goods
    suchen suche suchst sucht gesucht | look looks looked looking for | goods people
    lesen lese liest liest gelesen | read reads read reading | text
    schreiben schreibe schreibst schreibt geschrieben | write writes wrote writing | text
    essen esse isst isst gegessen | eat eats ate eating | food
    malen male malst malt gemalt | paint paints painted painting | people vehicle food
    waschen wasche wäschst wäscht gewaschen | wash washes washed washing | clothes vehicle
    reparieren repariere reparierst repariert repariert | repair repairs repaired repairing | vehicle device
    besuchen besuche besuchst besucht besucht | visit visits visited visiting | people
    treffen treffe triffst trifft getroffen | meet meets met meeting | people
    tragen trage trägst trägt getragen | carry carries carried carrying | thing opening
    bewundern bewundere bewunderst bewundert bewundert | admire admires admired admiring | thing room
    zeichnen zeichne zeichnest zeichnet gezeichnet | draw draws drew drawing | people vehicle
    an+rufen rufe rufst ruft gerufen | call calls called calling | people
    ein+laden lade lädst lädt geladen | invite invites invited inviting | people
    ab+holen hole holst holt geholt | pick picks picked picking +up | people vehicle thing
    auf+machen mache machst macht gemacht | open opens opened opening | opening
    zu+machen mache machst macht gemacht | close closes closed closing | opening
    auf+räumen räume räumst räumt geräumt | tidy tidies tidied tidying +up | room
    weg+werfen werfe wirfst wirft geworfen | throw throws threw throwing +away | text food clothes thing
    aus+leihen leihe leihst leiht geliehen | borrow borrows borrowed borrowing | text vehicle device
    mit+bringen bringe bringst bringt gebracht | bring brings brought bringing +along | text food device thing
    ein+packen packe packst packt gepackt | pack packs packed packing | text clothes thing
    an+probieren probiere probierst probiert probiert | try tries tried trying +on | clothes
    aus+probieren probiere probierst probiert probiert | try tries tried trying +out | vehicle device
    """
)

# Verbs with a person in the dative and an accusative object: "to" in English.
DITRANSITIVE = _verbs(
    """
    geben gebe gibst gibt gegeben | give gives gave giving | goods
    zeigen zeige zeigst zeigt gezeigt | show shows showed showing | text clothes vehicle device thing room
    schicken schicke schickst schickt geschickt | send sends sent sending | text food clothes thing
    leihen leihe leihst leiht geliehen | lend lends lent lending | text clothes vehicle device
    an+bieten biete bietest bietet geboten | offer offers offered offering | text food vehicle device
    zurück+geben gebe gibst gibt gegeben | give gives gave giving +back | text clothes vehicle device
    vor+lesen lese liest liest gelesen | read reads read reading +out | text
    """
)

INTRANSITIVE = _verbs(
    """
    arbeiten arbeite arbeitest arbeitet gearbeitet | work works worked working
    schlafen schlafe schläfst schläft geschlafen | sleep sleeps slept sleeping
    warten warte wartest wartet gewartet | wait waits waited waiting
    tanzen tanze tanzt tanzt getanzt | dance dances danced dancing
    singen singe singst singt gesungen | sing sings sang singing
    ein+kaufen kaufe kaufst kauft gekauft | go goes went going shopping
    an+kommen komme kommst kommt *gekommen | arrive arrives arrived arriving
    auf+stehen stehe stehst steht *gestanden | get gets got getting up
    ein+schlafen schlafe schläfst schläft *geschlafen | fall falls fell falling asleep
    fern+sehen sehe siehst sieht gesehen | watch watches watched watching television
    """
)

# Verbs of motion, and where they can lead.
MOTION = _verbs(
    """
    gehen gehe gehst geht *gegangen | go goes went going | place
    laufen laufe läufst läuft *gelaufen | run runs ran running | place
    fahren fahre fährst fährt *gefahren | drive drives drove driving | place city
    fliegen fliege fliegst fliegt *geflogen | fly flies flew flying | city
    zurück+kommen komme kommst kommt *gekommen | come comes came coming back | place city
    """
)

# Verbs that take a clause.
SAYING = _verbs(
    """
    glauben glaube glaubst glaubt geglaubt | believe believes believed believing
    hoffen hoffe hoffst hofft gehofft | hope hopes hoped hoping
    sagen sage sagst sagt gesagt | say says said saying
    wissen weiß weißt weiß gewusst | know knows knew knowing
    """
)
ASKING = _verb("fragen frage fragst fragt gefragt".split(), "ask asks asked asking".split())

PLACES = [
    Place(german[0], german[1], german[2], tuple(english[:-1]), english[-1])
    for german, english in _rows(
        """
        in Garten m       | in garden
        in Park m         | in park
        in Schule f       | at school
        in Kino n         | at cinema
        in Bibliothek f   | in library
        in Café n         | in café
        in Hotel n        | in hotel
        in Museum n       | in museum
        in Theater n      | at theatre
        in Restaurant n   | in restaurant
        auf Markt m       | at market
        an Bahnhof m      | at station
        an Fluss m        | by river
        an See m          | by lake
        vor Palast m      | in front of palace
        hinter Kirche f   | behind church
        neben Bank f      | next to bank
        unter Brücke f    | under bridge
        """
    )
]
PLACE_ADJECTIVES = _join("alt | old", "neu | new", "klein | small", "groß | big", "schön | beautiful")
CITIES = {"München": "Munich", "Wien": "Vienna", "Köln": "Cologne", "Zürich": "Zurich", "Prag": "Prague"}
CITIES |= {name: name for name in ("Berlin", "Hamburg", "Dresden")}

MONTHS = dict(
    zip(
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
        "January February March April May June July August September October November December".split(),
        strict=True,
    )
)
WEEKDAYS = dict(
    zip(
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag".split(),
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
        strict=True,
    )
)

COSTING = _verb("kosten koste kostest kostet gekostet".split(), "cost costs cost costing".split())
