"""The quick start's data: proper words, true alignments, and a test set that training has not seen."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "examples" / "quickstart"))

import grammar
import lexicon
import make_data
import number_words as numbers
import report

from rnn_s2s_plugin.errors import UsageError

SIZES = {"train": 3000, "valid": 50, "test": 100}

# Written by hand, not by the functions under test.
CARDINALS = {
    2: ("zwei", "two"),
    11: ("elf", "eleven"),
    12: ("zwölf", "twelve"),
    16: ("sechzehn", "sixteen"),
    17: ("siebzehn", "seventeen"),
    20: ("zwanzig", "twenty"),
    21: ("einundzwanzig", "twenty-one"),
    24: ("vierundzwanzig", "twenty-four"),
    30: ("dreißig", "thirty"),
    37: ("siebenunddreißig", "thirty-seven"),
    66: ("sechsundsechzig", "sixty-six"),
    70: ("siebzig", "seventy"),
    99: ("neunundneunzig", "ninety-nine"),
    100: ("hundert", "one hundred"),
    101: ("hunderteins", "one hundred and one"),
    112: ("hundertzwölf", "one hundred and twelve"),
    240: ("zweihundertvierzig", "two hundred and forty"),
    324: ("dreihundertvierundzwanzig", "three hundred and twenty-four"),
    717: ("siebenhundertsiebzehn", "seven hundred and seventeen"),
    999: ("neunhundertneunundneunzig", "nine hundred and ninety-nine"),
}
ORDINALS = {
    1: ("ersten", "first"),
    2: ("zweiten", "second"),
    3: ("dritten", "third"),
    5: ("fünften", "fifth"),
    7: ("siebten", "seventh"),
    8: ("achten", "eighth"),
    9: ("neunten", "ninth"),
    12: ("zwölften", "twelfth"),
    16: ("sechzehnten", "sixteenth"),
    20: ("zwanzigsten", "twentieth"),
    21: ("einundzwanzigsten", "twenty-first"),
    30: ("dreißigsten", "thirtieth"),
    31: ("einunddreißigsten", "thirty-first"),
}
YEARS = {
    1910: ("neunzehnhundertzehn", "nineteen ten"),
    1966: ("neunzehnhundertsechsundsechzig", "nineteen sixty-six"),
    1984: ("neunzehnhundertvierundachtzig", "nineteen eighty-four"),
    2001: ("zweitausendeins", "two thousand and one"),
    2013: ("zweitausenddreizehn", "two thousand and thirteen"),
    2024: ("zweitausendvierundzwanzig", "two thousand and twenty-four"),
}

FUNCTION_WORDS = set("der die das den dem des hat haben habe hast ist sind bin bist zu ,".split())


@pytest.fixture(scope="module")
def sentences():
    drawn = grammar.Grammar(5)
    return [drawn.sentence() for _ in range(4000)]


@pytest.fixture(scope="module")
def data():
    return make_data.draw(SIZES, seed=3)


@pytest.mark.parametrize(
    "german, english, expected",
    [
        (numbers.german_cardinal, numbers.english_cardinal, CARDINALS),
        (numbers.german_ordinal, numbers.english_ordinal, ORDINALS),
        (numbers.german_year, numbers.english_year, YEARS),
    ],
)
def test_number_words(german, english, expected):
    assert {number: (german(number)[0], " ".join(english(number))) for number in expected} == expected


def test_number_words_are_distinct():
    assert len({numbers.german_cardinal(number)[0] for number in range(1, 1000)}) == 999
    assert len({" ".join(numbers.english_cardinal(number)) for number in range(1, 1000)}) == 999


@pytest.mark.parametrize("number", [0, 1000])
def test_number_out_of_range(number):
    with pytest.raises(ValueError, match="must be 1 to 999"):
        numbers.german_cardinal(number)
    with pytest.raises(ValueError, match="must be 1 to 999"):
        numbers.english_cardinal(number)


def test_same_seed_same_sentences():
    first, again, other = grammar.Grammar(7), grammar.Grammar(7), grammar.Grammar(8)
    drawn = [first.sentence() for _ in range(50)]
    assert drawn == [again.sentence() for _ in range(50)]
    assert drawn != [other.sentence() for _ in range(50)]


def test_sentences_hardly_repeat(sentences):
    assert len({tuple(sentence.de) for sentence in sentences}) > 0.99 * len(sentences)


def test_one_translation_each(sentences):
    translations = {}
    for sentence in sentences:
        assert translations.setdefault(tuple(sentence.de), sentence.en) == sentence.en


def test_tokens_are_plain_words(sentences):
    for sentence in sentences:
        for token in sentence.de + sentence.en:
            assert re.fullmatch(r"[A-Za-zÄÖÜäöüßé]+(-[a-z]+)?('s)?|o'clock|[.,?]", token), token
        assert sentence.de[-1] == sentence.en[-1] in (".", "?")


def test_links_are_in_range_and_cover_content_words(sentences):
    for sentence in sentences:
        both = sentence.sure + sentence.possible
        assert all(i < len(sentence.de) and j < len(sentence.en) for i, j in both)
        assert not set(sentence.sure) & set(sentence.possible)
        assert {j for _, j in both} == set(range(len(sentence.en))), sentence
        linked = {i for i, _ in both}
        for i, token in enumerate(sentence.de):
            assert i in linked or token.lower() in FUNCTION_WORDS, (token, sentence)


def test_number_words_are_linked_to_each_other(sentences):
    german = {numbers.german_cardinal(n)[0]: numbers.english_cardinal(n)[-1] for n in range(21, 100) if n % 10}
    found = 0
    for sentence in sentences:
        for i, token in enumerate(sentence.de):
            if token in german:
                found += 1
                assert german[token] in [sentence.en[j] for k, j in sentence.sure if k == i]
    assert found > 100


def test_agreement_of_articles_and_nouns(sentences):
    """Articles that tell the gender agree with the lexicon."""
    genders = {noun.de: noun.gender for nouns in lexicon.NOUNS.values() for noun in nouns}
    ends = {"ein": "mn", "eine": "f", "einen": "m", "einem": "mn", "einer": "f", "das": "n", "dem": "mn"}
    checked = 0
    for sentence in sentences:
        for article, noun in zip(sentence.de, sentence.de[1:]):
            if article.lower() in ends and noun in genders and noun != "Uhr":  # "um ein Uhr"
                checked += 1
                assert genders[noun] in ends[article.lower()], f"{article} {noun}"
    assert checked > 300


def test_english_article_before_vowels(sentences):
    for sentence in sentences:
        for article, following in zip(sentence.en, sentence.en[1:]):
            if article.lower() in ("a", "an"):
                assert (article.lower() == "an") == (following[0] in "aeiou"), f"{article} {following}"


def verb(infinitive):
    every = [*lexicon.TRANSITIVE, *lexicon.DITRANSITIVE, *lexicon.INTRANSITIVE, *lexicon.MOTION]
    return next(verb for verb in every if verb.infinitive == infinitive)


def clause(infinitive, tense, position, *, subject=("sie", grammar.ER, "she"), negated=False):
    """A clause with a pronoun as object ("ihn", "him") and without time or place."""
    german, person, english = subject
    negator = grammar.De("nicht") if negated else None
    pronoun = grammar.word("ihn", "him")
    chosen = verb(infinitive)
    predicate = grammar.Predicate(
        chosen,
        negator,
        pronouns=pronoun.de,
        middle=[negator] if negator else [],
        object=pronoun.en,
        particle_last=chosen.movable,
    )
    group = grammar.conjugate(chosen, tense, person, position, negator)
    phrase = grammar.assemble(position, "subject", grammar.word(german, english), group, predicate, None)
    return " ".join(word.text for word in phrase.de), " ".join(word.text for word in phrase.en)


@pytest.mark.parametrize(
    "infinitive, tense, position, german, english",
    [
        ("abholen", "now", "second", "sie holt ihn ab", "she is picking him up"),
        ("abholen", "now", "last", "sie ihn abholt", "she is picking him up"),
        ("abholen", "past", "second", "sie hat ihn abgeholt", "she picked him up"),
        ("abholen", "past", "first", "hat sie ihn abgeholt", "did she pick him up"),
        ("abholen", "müssen", "last", "sie ihn abholen muss", "she has to pick him up"),
        ("anrufen", "habit", "first", "ruft sie ihn an", "does she call him"),
        ("anrufen", "future", "second", "sie wird ihn anrufen", "she will call him"),
        ("suchen", "past", "last", "sie ihn gesucht hat", "she looked for him"),
        ("treffen", "habit", "second", "sie trifft ihn", "she meets him"),
        ("treffen", "wollen", "first", "will sie ihn treffen", "does she want to meet him"),
        ("treffen", "möchten", "second", "sie möchte ihn treffen", "she would like to meet him"),
    ],
)
def test_verbs(infinitive, tense, position, german, english):
    assert clause(infinitive, tense, position) == (german, english)


@pytest.mark.parametrize(
    "tense, german, english",
    [
        ("past", "sie hat ihn nicht getroffen", "she did not meet him"),
        ("now", "sie trifft ihn nicht", "she is not meeting him"),
        ("future", "sie wird ihn nicht treffen", "she will not meet him"),
        ("können", "sie kann ihn nicht treffen", "she cannot meet him"),
        ("dürfen", "sie darf ihn nicht treffen", "she must not meet him"),
        ("müssen", "sie muss ihn nicht treffen", "she does not have to meet him"),
    ],
)
def test_negation(tense, german, english):
    assert clause("treffen", tense, "second", negated=True) == (german, english)


def noun(german):
    return next(noun for nouns in lexicon.NOUNS.values() for noun in nouns if noun.de == german)


@pytest.mark.parametrize(
    "name, case, determiner, plural, expected",
    [
        ("Mann", grammar.NOMINATIVE, "the", False, "der alte Mann"),
        ("Mann", grammar.ACCUSATIVE, "a", False, "einen alten Mann"),
        ("Mann", grammar.GENITIVE, "the", False, "des alten Mannes"),
        ("Mann", grammar.DATIVE, "this", True, "diesen alten Männern"),
        ("Frau", grammar.DATIVE, "the", False, "der alten Frau"),
        ("Mann", grammar.NOMINATIVE, "my", False, "mein alter Mann"),
        ("Student", grammar.ACCUSATIVE, "the", False, "den alten Studenten"),
        ("Student", grammar.DATIVE, "your", False, "deinem alten Studenten"),
        ("Buch", grammar.NOMINATIVE, "our", False, "unser altes Buch"),
        ("Buch", grammar.ACCUSATIVE, "a", True, "alte Bücher"),
        ("Buch", grammar.ACCUSATIVE, "no", False, "kein altes Buch"),
        ("Auto", grammar.DATIVE, "the", True, "den alten Autos"),
    ],
)
def test_noun_phrases(name, case, determiner, plural, expected):
    old = lexicon.Adjective("alt", "alt", "old")
    phrase = grammar.Grammar(1).noun_phrase(noun(name), case, determiner, plural, old)
    assert " ".join(word.text for word in phrase.de) == expected


def test_genitive_is_possessive():
    draw = grammar.Grammar(1)
    owner = draw.noun_phrase(noun("Arzt"), grammar.GENITIVE, "the", False, None)
    new = lexicon.Adjective("neu", "neu", "new")
    phrase = draw.noun_phrase(noun("Auto"), grammar.ACCUSATIVE, "the", False, new, owner)
    sentence = grammar.finish(phrase, frozenset())
    assert sentence.de == ["das", "neue", "Auto", "des", "Arztes"]
    assert sentence.en == ["the", "doctor's", "new", "car"]
    assert sentence.sure == [(1, 2), (2, 3), (3, 0), (4, 1)]
    assert sentence.possible == [(0, 1)]


def test_sets_do_not_overlap(data):
    sets, kinds, _ = data
    assert {name: len(part) for name, part in sets.items()} == SIZES
    every = [tuple(sentence.de) for part in sets.values() for sentence in part]
    assert len(every) == len(set(every))
    assert {kind: kinds.count(kind) for kind in kinds} == {"new": 50, "number": 25, "pair": 25}


def test_training_lacks_what_is_held_out(data):
    sets, kinds, held_out = data
    for name in ("train", "valid"):
        assert not any(sentence.facts & held_out for sentence in sets[name])
    for sentence, kind in zip(sets["test"], kinds):
        assert {fact[0] for fact in sentence.facts & held_out} >= ({kind} - {"new"})
        assert kind != "new" or not sentence.facts & held_out
    # The same for number words without trusting the facts: as parts of longer words and in English too.
    german = [numbers.german_cardinal(number)[0] for number in make_data.HELD_OUT_NUMBERS]
    english = [numbers.english_cardinal(number)[0] for number in make_data.HELD_OUT_NUMBERS]
    for sentence in sets["train"]:
        assert not any(word in token.lower() for token in sentence.de for word in german), sentence.de
        assert not any(token.lower().startswith(word) for token in sentence.en for word in english), sentence.en


def test_parts_of_held_out_numbers_are_trained(data):
    text = " ".join(token for sentence in data[0]["train"] for token in sentence.de)
    for number in make_data.HELD_OUT_NUMBERS:
        ten, unit = divmod(number, 10)
        assert f"und{numbers.GERMAN_TENS[ten]}" in text
        assert f"{numbers.GERMAN_SMALL[unit]}und" in text


def test_command_line(tmp_path):
    folder = tmp_path / "with space" / "text"
    command = [sys.executable, make_data.__file__, str(folder)]
    small = ["--train", "200", "--valid", "20", "--test", "40"]
    subprocess.run(command + small, check=True)
    count = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in folder.iterdir()}
    assert count["train.de"] == count["train.en"] == 200
    assert count["test.de"] == count["test.en"] == count["test.align"] == count["test.kind"] == 40
    again = subprocess.run(command + small, capture_output=True, text=True)
    assert again.returncode == 2 and "exists already" in again.stderr
    none = subprocess.run([*command[:-1], str(tmp_path / "x"), "--test", "0"], capture_output=True, text=True)
    assert none.returncode == 2 and "--test must be at least 1" in none.stderr


GENERATED = """\
S-1\tvier@@ undzwanzig Autos .
T-1\ttwenty-@@ four cars .
H-1\t-0.1\ttwenty-@@ four cars .
A-1\t0,1,0,0,0 1,0,0,0,0 0,0,.8,.2,0 0,0,0,1,0 0,0,0,0,1
S-0\ter holt ihn ab .
H-0\t-0.1\the picks her up .
A-0\t1,0,0,0,0,0 0,.6,0,.4,0,0 0,0,1,0,0,0 0,.1,0,.9,0,0 0,0,0,0,1,0 0,0,0,0,0,1
"""


@pytest.fixture
def generated(tmp_path):
    text = tmp_path / "text"
    text.mkdir()
    (tmp_path / "out.txt").write_text(GENERATED, encoding="utf-8")
    (text / "test.de").write_text("er holt ihn ab .\nvierundzwanzig Autos .\n", encoding="utf-8")
    (text / "test.en").write_text("he picks him up .\ntwenty-four cars .\n", encoding="utf-8")
    (text / "test.kind").write_text("new\nnumber\n", encoding="utf-8")
    (text / "test.align").write_text("0-0 1-1 3p1 2-2 3-3 1p3 4-4\n0-0 1-1 2-2\n", encoding="utf-8")
    return report.read_translations(tmp_path / "out.txt"), report.read_gold(text), tmp_path


def test_report(generated):
    pytest.importorskip("sacrebleu")
    translations, gold, _ = generated
    german, english, weights = report.word_attention(translations[1])
    assert (german, english) == (["vierundzwanzig", "Autos", "."], ["twenty-four", "cars", "."])
    assert weights.tolist() == [[1, 0, 0], [0, 0.8, 0.2], [0, 0, 1]]
    assert report.links_of(report.word_attention(translations[0])[2]) == gold[0].sure | {(3, 1)}
    lines = report.summary(translations, gold)
    assert any("50.0 %  of 2 test sentences" in line for line in lines)
    assert any("100.0 %  of 1: number words" in line for line in lines)
    assert "0.0 %" in lines[-1]
    assert "expected    He picks him up." in report.show(translations[0], gold[0])
    assert "picks < holt+ab" in report.show(translations[0], gold[0])


def test_heatmap(generated):
    pytest.importorskip("matplotlib")
    translations, gold, folder = generated
    assert report.best_for_picture(translations, gold) == 1
    report.heatmap(translations[1], folder / "attention.png")
    assert (folder / "attention.png").read_bytes().startswith(b"\x89PNG")
    assert not list(folder.glob("*.partial*"))


def test_report_names_a_picture_that_cannot_be(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["report.py", "no-translations", "no-text", "attention.jpgg"])
    with pytest.raises(UsageError, match="picture attention.jpgg: a picture's name ends in .png, .svg or .pdf"):
        report.main()


def test_report_names_what_is_missing(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="no translations in .*out.txt"):
        report.read_translations(path)
    path.write_text("S-0\tx\nH-0\t-1\ty\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="--print-alignment soft"):
        report.read_translations(path)


@pytest.mark.parametrize(
    "script, first, last",
    [
        ("install.sh", "Sets up PyTorch", "end at once."),
        ("examples/quickstart/run.sh", "Quick start: ", "--arch rnn_conv_attn."),
    ],
)
def test_scripts_tell_what_they_do(script, first, last):
    """And do nothing."""
    told = subprocess.run(["bash", ROOT / script, "--help"], capture_output=True, text=True, check=True).stdout
    assert told.startswith(first) and told.rstrip().endswith(last)
