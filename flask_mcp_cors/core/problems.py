"""Problems: the faults of a configuration, and how a value is shown in a message.

Every function that reads a setting adds its problems to a list. This module does not depend on any setting.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import NamedTuple


class _Fields(NamedTuple):
    code: str
    setting: str
    value: object
    message: str
    key: str | None = None


class PolicyProblem(_Fields):
    """One fault of a configuration.

    *code* is stable and names the kind of fault. *message* says what is wrong and what to write instead. *key* is
    the ``app.config`` key of the value, if it came from there.
    """

    #: The index of the value, if it is one of several in a list.
    member: int | None = None

    def __str__(self) -> str:
        place = self.setting if self.member is None else f"{self.setting}[{self.member}]"
        where = f"{self.key} ({place})" if self.key else place
        return f"{where}={shown(self.value)}: {self.message} [{self.code}]"


class PolicyError(ValueError):
    """A configuration that cannot be used. :attr:`problems` has all its faults.

    >>> from flask_mcp_cors import CORSPolicy
    >>> try:
    ...     CORSPolicy(origins="https://app.example.com/", max_age=-1)
    ... except PolicyError as error:
    ...     print([problem.code for problem in error.problems])
    ['origin_trailing_slash', 'max_age_out_of_range']
    """

    def __init__(self, problems: Iterable[PolicyProblem]) -> None:
        #: Every :class:`PolicyProblem` found, in the order of the settings.
        self.problems: tuple[PolicyProblem, ...] = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__("\n  - ".join([f"{head} in the CORS configuration:", *map(str, self.problems)]))

    def __reduce__(self) -> tuple[type[PolicyError], tuple[tuple[PolicyProblem, ...]]]:
        return type(self), (self.problems,)

    def located(self, setting: str = "", keys: Mapping[str, str] | None = None) -> PolicyError:
        """The same problems, with the place of the setting: below *setting*, or in ``app.config`` *keys*."""
        located = []
        for problem in self.problems:
            place = f"{setting}.{problem.setting}" if setting else problem.setting
            # A key includes the settings below it: policies['/mcp'].max_age, security_headers.frame_options.
            word = place.partition("[")[0].partition(".")[0]
            moved = problem._replace(setting=place, key=problem.key or (keys or {}).get(word))
            moved.member = problem.member
            located.append(moved)
        return PolicyError(located)


class Invalid(ValueError):
    """A text that is not valid: a stable *code*, and a *message* that says what to write instead."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def shown(value: object) -> str:
    """A value as a message shows it: in ASCII, and shortened if it is long."""
    text = ascii(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def as_list(members: Iterable[str]) -> str:
    """Strings as a list that is valid in Python and in an environment variable; a long list is shortened."""
    listed = list(members)
    text = json.dumps(listed[:5])
    return text if len(listed) <= 5 else f"{text[:-1]}, …]"


def string_list(setting: str, value: object, problems: list[PolicyProblem]) -> tuple[str, ...]:
    """One string or many, as a tuple. Anything else adds a problem."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Iterator):
        # It would be empty for the second app or policy with the same settings.
        message = f"{type(value).__name__} is the wrong type: it can be read once only; write a list"
        problems.append(PolicyProblem("wrong_type", setting, value, message))
        return ()
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        problems.append(wrong_type(setting, value, "a string or a list of strings"))
        return ()
    members = tuple(value)
    if any(isinstance(member, list | tuple) for member in members):
        members = tuple(
            part for member in members for part in (member if isinstance(member, list | tuple) else [member])
        )
        message = f"a list inside the list; write {as_list(map(str, members))}"
        problems.append(PolicyProblem("wrong_type", setting, value, message))
    for member in members:
        if not isinstance(member, str):
            problems.append(wrong_type(setting, member, "a string"))
    return tuple(member for member in members if isinstance(member, str))


def number_members(setting: str, value: object, problems: list[PolicyProblem], start: int) -> None:
    """Note the index in the list that each problem since *start* is about, if the list has several members."""
    if not isinstance(value, list | tuple) or len(value) < 2:
        return
    for problem in problems[start:]:
        if problem.setting == setting and problem.value in value:
            problem.member = value.index(problem.value)


# Other spellings of the JSON values true, false and null.
_JSON_WORDS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
_JSON_WORDS |= {"none": "null", "null": "null"}


def wrong_type(setting: str, value: object, expected: str) -> PolicyProblem:
    """The problem for a value of the wrong type."""
    message = f"{type(value).__name__} is the wrong type; write {expected}"
    if value is None:
        message = f"nothing is set here, perhaps because an environment variable is missing; write {expected}"
    if isinstance(value, str) and value.lower() in _JSON_WORDS:
        message += f" (in an environment variable, which is read as JSON: {_JSON_WORDS[value.lower()]})"
    elif isinstance(value, int) and expected.startswith("True or False"):
        message += f" (in an environment variable, which is read as JSON: {'true' if value else 'false'})"
    return PolicyProblem("wrong_type", setting, value, message)
