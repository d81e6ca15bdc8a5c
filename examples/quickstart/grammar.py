"""A small German-English grammar: whole sentences in both languages at once, with their word alignment.

Each rule is a method of `Grammar` that returns a `Phrase`: German words in German order and English words in
English order. An English word holds the German words that it translates, so however the rules reorder the two
sides, the alignment is known at the end. Words are objects, compared by identity.

What makes the pair hard to translate word by word, all of it covered here:

* the verb: second in main clauses, last in subordinate ones; participles and infinitives at the end; separable
  prefixes ("Sie ruft den Arzt morgen an"); "do" in English questions and negations;
* tense: the perfect becomes the simple past; the present becomes "is buying" or "buys", depending on the adverb;
* noun phrases: gender, number, case and three adjective declensions against one English form; "das Auto des
  Arztes" is "the doctor's car"; fronted objects are recognised by case alone;
* numbers, prices, dates, years and times of day in words: "um halb vier" is "at half past three".

A German sentence has exactly one translation, so exact match is a fair measure.
"""

import random
from dataclasses import dataclass, field
from typing import NamedTuple

import lexicon
from lexicon import CASES, Adjective, Noun, Verb
from number_words import (
    english_cardinal,
    english_ordinal,
    english_year,
    german_cardinal,
    german_ordinal,
    german_year,
)

NOMINATIVE, ACCUSATIVE, DATIVE, GENITIVE = (CASES[name] for name in ("nominative", "accusative", "dative", "genitive"))
# Persons for agreement: ich, du, er/sie/es, and the plural, whose German form is that of the infinitive.
ICH, DU, ER, WIR = range(4)

HABEN = "habe hast hat haben".split()
SEIN = "bin bist ist sind".split()
WERDEN = "werde wirst wird werden".split()
BE = "am are is are".split()
DO = "do do does do".split()

# German forms; English auxiliary, or verb that needs "do"; what follows it.
MODALS = {
    "können": ("kann kannst kann können", "can", ""),
    "sollen": ("soll sollst soll sollen", "should", ""),
    "dürfen": ("darf darfst darf dürfen", "may", ""),
    "möchten": ("möchte möchtest möchte möchten", "would", "like to"),
    "müssen": ("muss musst muss müssen", "have has", "to"),
    "wollen": ("will willst will wollen", "want wants", "to"),
}
NEGATED_MODALS = {"können": "could", "dürfen": "must"}

PAST, NOW, HABIT, FUTURE = "past", "now", "habit", "future"
# Verbs that English does not use in the progressive form.
SUBJECTS = [("ich", ICH, "I"), ("du", DU, "you"), ("er", ER, "he"), ("sie", ER, "she"), ("wir", WIR, "we"), ("sie", WIR, "they")]
OBJECTS = [("mich", "me"), ("dich", "you"), ("ihn", "him"), ("uns", "us")]
RECIPIENTS = [("mir", "me"), ("dir", "you"), ("ihm", "him"), ("ihr", "her"), ("uns", "us"), ("ihnen", "them")]
