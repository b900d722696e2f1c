r"""Numbers for running text: a file of \newcommand, so that prose cannot drift from the tables."""

from collections.abc import Iterator

from analysis.ablation import Ablation
from analysis.selection import Selection
from analysis.tables import interval, number, tally

DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")

MINUS = r"\ensuremath{-}"  # right in text and in math


def macros(found: Ablation | None, selection: Selection | None) -> str:
    r"""The \newcommand file of the last stage: \UF, \UFlow, \UFhigh, \DUF, \p, \padj and so on, an arm's name behind.

    Digits of names become words, other signs are left out; names that would meet are told apart by a letter at the end.
    """
    seen: set[str] = set()
    lines = ["% numbers of the report, for running text: \\input{numbers.tex}"]
    for name, value in [*_arms(found), *_selected(selection)]:
        command = _unused(_letters(name), seen)
        lines.append(f"\\newcommand{{\\{command}}}{{{value.replace('−', MINUS)}}}")
    return "\n".join(lines) + "\n"


def _arms(found: Ablation | None) -> Iterator[tuple[str, str]]:
    for f in found.findings if found else ():
        arm, seen = f.arm.arm, f.comparison
        if f.score is None:
            continue
        own = f.score.interval
        estimate, low, high = interval((own.estimate, own.low, own.high)).digits
        yield from ((f"UF {arm}", estimate), (f"UFlow {arm}", low), (f"UFhigh {arm}", high))
        yield from ((f"UAR {arm}", f"{f.score.uar:.3f}"), (f"Acc {arm}", f"{f.score.accuracy:.3f}"))
        if seen:
            shown = interval(seen.shown, signed=True).digits
            names = ("DUF", "DUFlow", "DUFhigh")
            yield from ((f"{n} {arm}", v.replace("-", "−") or "--") for n, v in zip(names, shown, strict=True))
            yield f"p {arm}", number(seen.p, 4).text
            if seen.p_adjusted is not None:
                yield f"padj {arm}", number(seen.p_adjusted, 4).text
            yield f"WTL {arm}", tally((seen.wins, seen.ties, seen.losses)).text


def _selected(selection: Selection | None) -> Iterator[tuple[str, str]]:
    if selection:
        yield "UFnaive", f"{selection.naive.estimate:.3f}"
        names = ("UFcorrected", "UFcorrectedlow", "UFcorrectedhigh")
        yield from ((name, f"{value:.3f}") for name, value in zip(names, selection.corrected, strict=True))
        yield "Ktried", str(len(selection.tried))


def _letters(name: str) -> str:
    """`UF depth=2` as `UFDepthTwo`: TeX's commands are letters."""
    kind, _, arm = name.partition(" ")
    spelled = "".join(
        DIGITS[int(c)] + " " if c in "0123456789" else c if c.isascii() and c.isalpha() else " " for c in arm
    )
    return kind + "".join(word[:1].upper() + word[1:] for word in spelled.split())


def _unused(command: str, seen: set[str]) -> str:
    while command in seen:
        command += "x"
    seen.add(command)
    return command
