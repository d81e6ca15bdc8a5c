"""Numbers, years and ordinals written as words, in German and in English.

German says the unit before the ten and writes everything as one word: 324 is "dreihundertvierundzwanzig",
English "three hundred and twenty-four". Every function gives the words of one language as a list.
"""

GERMAN_SMALL = (
    "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn"
).split()
GERMAN_TENS = "- zehn zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
GERMAN_ORDINAL_STEMS = {1: "ers", 3: "drit", 7: "sieb", 8: "ach"}

ENGLISH_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
ENGLISH_TENS = "- ten twenty thirty forty fifty sixty seventy eighty ninety".split()
ENGLISH_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def _german_below_hundred(number: int) -> str:
    if number < 20:
        return GERMAN_SMALL[number]
    ten, unit = divmod(number, 10)
    return (GERMAN_SMALL[unit] + "und" if unit else "") + GERMAN_TENS[ten]


def _german_after_hundreds(rest: int) -> str:
    """What follows "hundert" or "tausend": nothing for 0, and "eins", not "ein", for 1."""
    return {0: "", 1: "eins"}.get(rest) or (_german_below_hundred(rest) if rest else "")


def german_cardinal(number: int) -> list[str]:
    """The cardinal as used in front of a noun, 1 to 999: 24 -> ["vierundzwanzig"]."""
    if not 0 < number < 1000:
        raise ValueError(f"german_cardinal: number must be 1 to 999, not {number}")
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return [_german_below_hundred(rest)]
    return [(GERMAN_SMALL[hundreds] if hundreds > 1 else "") + "hundert" + _german_after_hundreds(rest)]


def english_cardinal(number: int) -> list[str]:
    """1 to 999, British style: 324 -> ["three", "hundred", "and", "twenty-four"]."""
    if not 0 < number < 1000:
        raise ValueError(f"english_cardinal: number must be 1 to 999, not {number}")
    hundreds, rest = divmod(number, 100)
    words = [ENGLISH_SMALL[hundreds], "hundred"] if hundreds else []
    if rest:
        ten, unit = divmod(rest, 10)
        small = ENGLISH_SMALL[rest] if rest < 20 else ENGLISH_TENS[ten] + ("-" + ENGLISH_SMALL[unit] if unit else "")
        words += (["and"] if hundreds else []) + [small]
    return words


def german_ordinal(number: int) -> list[str]:
    """The ordinal of a date, 1 to 31, in the dative: 3 -> ["dritten"], 24 -> ["vierundzwanzigsten"]."""
    if number >= 20:
        return [_german_below_hundred(number) + "sten"]
    return [GERMAN_ORDINAL_STEMS.get(number, GERMAN_SMALL[number]) + "ten"]


def english_ordinal(number: int) -> list[str]:
    """1 to 31: 3 -> ["third"], 24 -> ["twenty-fourth"]."""
    *head, last = english_cardinal(number)[0].split("-")
    last = ENGLISH_ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return ["-".join([*head, last])]


def german_year(year: int) -> list[str]:
    """1984 -> ["neunzehnhundertvierundachtzig"], 2013 -> ["zweitausenddreizehn"]."""
    century, rest = divmod(year, 100)
    head = "zweitausend" if century == 20 else _german_below_hundred(century) + "hundert"
    return [head + _german_after_hundreds(rest)]


def english_year(year: int) -> list[str]:
    """1984 -> ["nineteen", "eighty-four"], 2013 -> ["two", "thousand", "and", "thirteen"]."""
    century, rest = divmod(year, 100)
    if century == 20:
        return ["two", "thousand"] + (["and", *english_cardinal(rest)] if rest else [])
    if rest < 10:
        raise ValueError(f"english_year: {year} has no reading without a word for the zero")
    return [*english_cardinal(century), *english_cardinal(rest)]
