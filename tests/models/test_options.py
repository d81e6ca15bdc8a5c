"""Every option, on every architecture, with every property: the cells of ``docs/properties.md``."""

import functools

import pytest
from fairseq.dataclass import ChoiceEnum
from harness.options import CASES, EFFECTS, MODELS, cells, fields, option_names
from harness.properties import PROPERTIES, option_has_effect
from harness.subject import Subject
from rnn_s2s_plugin.models.config import FIELDS


@functools.lru_cache(maxsize=1)
def subject(number: int) -> Subject:
    cell = cells()[number]
    return Subject(cell.arch, cell.overrides)


def cells_with_properties():
    """The properties of a cell stand together, so that they share its model."""
    for number, cell in enumerate(cells()):
        for name, kind in PROPERTIES.items():
            if kind.unfit(cell.arch, cell.overrides) is None:
                yield pytest.param(number, name, id=f"{cell}-{name}")


@pytest.mark.parametrize("number, name", cells_with_properties())
def test_property(number, name):
    PROPERTIES[name].check(subject(number))


@pytest.mark.parametrize("cell", cells(), ids=str)
def test_option_has_effect(cell):
    option_has_effect(cell)


def test_every_option_has_a_case():
    """A new option must be added to ``harness/options.py``."""
    assert set(CASES) == set(option_names())


def test_every_choice_has_a_case():
    """A new cell, score function, bridge, … must be added to ``harness/options.py``."""
    for name, field in FIELDS.items():
        choices = getattr(field.type, "__args__", (field.type,))[0]
        if isinstance(choices, type) and issubclass(choices, ChoiceEnum):
            missing = {choice.value for choice in choices} - {case.value for case in CASES[name]}
            assert not missing, f"{name} has no case for {missing}"


def test_every_option_of_an_architecture_is_tried_on_it():
    for arch in MODELS:
        tried = {cell.option for cell in cells() if cell.arch == arch}
        assert tried == set(fields(arch)) - {"_name"}


def test_cases_are_well_formed():
    for option, cases in CASES.items():
        for case in cases:
            assert case.effect in EFFECTS
            assert option not in case.companions
            assert set(case.companions) <= set(option_names())
