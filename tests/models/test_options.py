"""Every option, on every architecture, with every property: the cells of ``docs/properties.md``."""

import enum
import functools
from typing import get_args

import pytest
from harness.options import CASES, EFFECT_KINDS, MODELS, completed, fields, models, option_names, trials
from harness.properties import PROPERTIES, option_has_effect
from harness.subject import Subject

from rnn_s2s_plugin.models.config import CELL_OPTIONS, FIELDS
from rnn_s2s_plugin.modules.recurrent import CELLS


def distinct_effects():
    """Trials that differ in their model, or in what that is compared with."""
    return list(
        {(trial.option, trial.model, str(completed(trial.arch, trial.instead))): trial for trial in trials()}.values()
    )


@functools.lru_cache(maxsize=1)
def subject(model) -> Subject:
    trial = models()[model][0]
    return Subject(trial.arch, trial.overrides)


def models_with_properties():
    """The properties of a model stand together, so that they share it."""
    for model, (trial, *others) in models().items():
        for name, kind in PROPERTIES.items():
            if kind.unfit(trial.arch, trial.overrides) is None:
                shared = f"-and-{len(others)}-more" if others else ""
                yield pytest.param(model, name, id=f"{trial}{shared}-{name}")


@pytest.mark.parametrize("model, name", models_with_properties())
def test_property(model, name):
    PROPERTIES[name].check(subject(model))


@pytest.mark.parametrize("trial", distinct_effects(), ids=str)
def test_option_has_effect(trial):
    option_has_effect(trial)


def test_every_option_has_a_case():
    """A new option must be added to ``harness/options.py``."""
    assert set(CASES) == set(option_names())


def test_every_choice_has_a_case():
    """A new cell, score function, bridge, … must be added to ``harness/options.py``."""
    for name, field in FIELDS.items():
        choices = next((kind for kind in (field.type, *get_args(field.type)) if is_enum(kind)), ())
        values = CELLS if name in CELL_OPTIONS else {choice.value for choice in choices}
        missing = set(values) - {case.value for case in CASES[name]}
        assert not missing, f"{name} has no case for {missing}"


def is_enum(kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def test_every_option_of_an_architecture_is_tried_on_it():
    for arch in MODELS:
        tried = {trial.option for trial in trials() if trial.arch == arch}
        assert tried == set(fields(arch)) - {"_name"}


def test_cases_are_well_formed():
    for option, cases in CASES.items():
        for case in cases:
            assert case.effect in EFFECT_KINDS
            assert option not in case.companions
            assert set(case.companions) <= set(option_names())
