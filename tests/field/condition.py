"""What a hard condition is: a function with what is tried and what is expected, that returns what was seen or fails loudly."""
import dataclasses
import typing

CONDITIONS = []


class Skipped(Exception):
    """The machine lacks what the condition needs; the text says what."""


class Failed(Exception):
    """What was seen is not what was expected."""


@dataclasses.dataclass
class Condition:
    name: str
    noun: str  # the file it stands in
    tried: str
    expected: str
    short: bool  # also in the short form
    function: typing.Callable


def condition(tried, expected, short=False):
    """The function gets a site (field_site.Site) of its own."""
    def add(function):
        noun = function.__module__.rpartition(".")[2]
        CONDITIONS.append(Condition(function.__name__, noun, tried, expected, short, function))
        return function
    return add


def must(holds, text):
    if not holds:
        raise Failed(text)
