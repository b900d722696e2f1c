r"""Numbers for running text: a file of \newcommand, so that prose cannot drift from the tables."""

import unicodedata
from collections.abc import Iterator, Sequence

from analysis.questions.ablation import Ablation
from analysis.questions.selection import Selection
from analysis.tables import interval, number, tally

DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")

MINUS = r"\ensuremath{-}"  # right in text and in math


def macros(stages: Sequence[Ablation], last: Ablation | None, selection: Selection | None) -> str:
    r"""The \newcommand file: \UF, \UFlow, \UFhigh, \DUF, \p, \padj and so on, an arm's name behind.

    The last stage's are called by the arm alone, those of others have the stage between: \UFConfirmBaseline. Digits of
    names become words, Greek letters their names, other signs are left out; names that would meet are told apart by a
    letter at the end. A comment behind each says which arm it is of.
    """
    seen: set[str] = set()
    lines = ["% numbers of the report, for running text: \\input{numbers.tex}"]
    for stage in sorted(stages, key=lambda stage: stage is not last):
        for kind, arm, value in _arms(stage):
            command = _unused(kind + _letters(arm if stage is last else f"{stage.stage} {arm}"), seen)
            lines.append(_line(command, value, f"{stage.stage}: {arm}"))
    if last and last.constant:
        about = f"UF1 of the constant answer {last.constant.label}"
        lines.append(_line(_unused("UFconstant", seen), f"{last.constant.score.interval.estimate:.3f}", about))
    for command, value in _selected(selection):
        lines.append(_line(_unused(command, seen), value, "the selected configuration of the search"))
    return "\n".join(lines) + "\n"


def _line(command: str, value: str, about: str) -> str:
    """The comment begins right behind the number: a space before it would be printed."""
    return f"\\newcommand{{\\{command}}}{{{value.replace('−', MINUS)}}}% {' '.join(about.split())}"


def _arms(found: Ablation) -> Iterator[tuple[str, str, str]]:
    """(kind of number, arm, number)."""
    for f in found.findings:
        arm, seen = f.arm.arm, f.comparison
        if f.score is None:
            continue
        ends = interval(f.span).digits
        numbers = {name: digits or "--" for name, digits in zip(("UF", "UFlow", "UFhigh"), ends, strict=True)} | {
            "UAR": f"{f.score.uar:.3f}",
            "Acc": f"{f.score.accuracy:.3f}",
        }
        if f.tested:
            numbers["UFtested"] = f"{f.tested.interval.estimate:.3f}"
        if seen:
            numbers |= _difference(("DUF", "DUFlow", "DUFhigh"), seen.shown) | {"p": number(seen.p, 4).text}
            if seen.p_adjusted is not None:
                numbers["padj"] = number(seen.p_adjusted, 4).text
            numbers["WTL"] = tally((seen.wins, seen.ties, seen.losses)).text
        yield from ((kind, arm, value) for kind, value in numbers.items())


def _selected(selection: Selection | None) -> Iterator[tuple[str, str]]:
    if selection:
        yield "UFnaive", f"{selection.naive.estimate:.3f}"
        names = ("UFcorrected", "UFcorrectedlow", "UFcorrectedhigh")
        yield from ((name, f"{value:.3f}") for name, value in zip(names, selection.corrected, strict=True))
        yield "Ktried", str(len(selection.tried))
        if selection.difference and selection.p is not None:
            names = ("DUFcorrected", "DUFcorrectedlow", "DUFcorrectedhigh")
            yield from _difference(names, selection.difference).items()
            yield "pcorrected", number(selection.p, 4).text


def _difference(names: Sequence[str], shown: tuple[float, float | None, float | None]) -> dict[str, str]:
    """A difference and its ends with their signs; dashes for an end that there is not."""
    digits = interval(shown, signed=True).digits
    return {name: value.replace("-", "−") or "--" for name, value in zip(names, digits, strict=True)}


def _letters(name: str) -> str:
    """`depth=2` as `DepthTwo`: TeX's commands are letters."""
    spelled = "".join(_spelled(character) for character in unicodedata.normalize("NFD", name))
    return "".join(word[:1].upper() + word[1:] for word in spelled.split())


def _spelled(character: str) -> str:
    if character in "0123456789":
        return f"{DIGITS[int(character)]} "
    if character.isascii():
        return character if character.isalpha() else " "
    script, *_, letter = unicodedata.name(character, " ").split(" WITH ")[0].split(" ")
    if unicodedata.combining(character):
        return ""  # an accent: its letter stays
    return f" {letter.capitalize()} " if script == "GREEK" else " "


def _unused(command: str, seen: set[str]) -> str:
    while command in seen:
        command += "x"
    seen.add(command)
    return command
