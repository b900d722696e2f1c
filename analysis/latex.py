r"""Words and tables as LaTeX that pdflatex, xelatex and lualatex read with booktabs alone.

The source is ASCII, but for characters that only a font of xelatex or lualatex may have: those are an argument of
\unicodechar, which prints their code point elsewhere. So no two names are printed alike, and none stops the run.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

# A sign and its command, by turns. In text; the plain quotation mark would elsewhere be printed as a closing one.
_IN_TEXT = r"""
ß \ss{}   æ \ae{}   œ \oe{}   ø \o{}   ł \l{}   å \aa{}   Æ \AE{}   Œ \OE{}   Ø \O{}   Ł \L{}   Å \AA{}   ı \i{}
ȷ \j{}   … \dots{}   • \textbullet{}   ✓ \checkmark{}   † $\dagger$   ‡ $\ddagger$   § \S{}   ¶ \P{}
¿ \textquestiondown{}   ¡ \textexclamdown{}   £ \pounds{}   © \copyright{}   – --   — ---   ‘ `   ’ '   “ ``   ” ''
\ \textbackslash{}   ~ \textasciitilde{}   ^ \textasciicircum{}   " {\ttfamily\char34}
"""
_IN_MATH = r"""
α \alpha   β \beta   γ \gamma   δ \delta   ε \varepsilon   ζ \zeta   η \eta   θ \theta   ι \iota   κ \kappa
λ \lambda   μ \mu   ν \nu   ξ \xi   ο o   π \pi   ρ \rho   ς \varsigma   σ \sigma   τ \tau   υ \upsilon   φ \varphi
χ \chi   ψ \psi   ω \omega   ϵ \epsilon   ϑ \vartheta   ϕ \phi   ϱ \varrho   ϖ \varpi   Γ \Gamma   Δ \Delta
Θ \Theta   Λ \Lambda   Ξ \Xi   Π \Pi   Σ \Sigma   Υ \Upsilon   Φ \Phi   Ψ \Psi   Ω \Omega   Α \mathrm{A}
Β \mathrm{B}   Ε \mathrm{E}   Ζ \mathrm{Z}   Η \mathrm{H}   Ι \mathrm{I}   Κ \mathrm{K}   Μ \mathrm{M}
Ν \mathrm{N}   Ο \mathrm{O}   Ρ \mathrm{P}   Τ \mathrm{T}   Χ \mathrm{X}   < <   > >   | |   − -   ± \pm   ∓ \mp
× \times   ÷ \div   · \cdot   ≤ \leq   ≥ \geq   ≠ \neq   ≈ \approx   ≡ \equiv   ≪ \ll   ≫ \gg   ∼ \sim   ∝ \propto
∈ \in   ∉ \notin   ⊂ \subset   ⊆ \subseteq   ⊃ \supset   ⊇ \supseteq   ∪ \cup   ∩ \cap   ∅ \emptyset   ∧ \wedge
∨ \vee   ¬ \neg   ∀ \forall   ∃ \exists   ∞ \infty   ∂ \partial   ∇ \nabla   √ \surd   ∑ \sum   ∏ \prod   ∫ \int
∘ \circ   ∗ \ast   ⊕ \oplus   ⊗ \otimes   → \to   ← \gets   ↔ \leftrightarrow   ↑ \uparrow   ↓ \downarrow
⇒ \Rightarrow   ⇐ \Leftarrow   ⇔ \Leftrightarrow   ↦ \mapsto   ⊥ \perp   ∥ \parallel   ′ '   ″ ''   ° ^\circ   µ \mu
∆ \triangle   ★ \star   ℓ \ell   ⟨ \langle   ⟩ \rangle   ⌈ \lceil   ⌉ \rceil   ⌊ \lfloor   ⌋ \rfloor   ¼ \frac14
½ \frac12   ¾ \frac34
"""


def _by_turns(words: str) -> dict[str, str]:
    pairs = words.split()
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


_SIGNS = (
    _by_turns(_IN_TEXT)
    | {sign: f"${command}$" for sign, command in _by_turns(_IN_MATH).items()}
    | {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\u00a0": "~"}
)
# Combining marks: the accents that every encoding of LaTeX's fonts can set.
_ACCENTS = dict(
    zip(map(chr, (0x300, 0x301, 0x302, 0x303, 0x304, 0x306, 0x307, 0x308, 0x30B, 0x30C)), "`'^~=u.\"Hv", strict=True)
) | dict(zip(map(chr, (0x323, 0x327, 0x331)), "dcb", strict=True))
_SCRIPTS = {"<super>": "textsuperscript", "<sub>": "textsubscript"}
_LIGATURES = "-`',!?"  # that TeX's fonts make of two of these, `--` or `!` and a backquote, is another sign

# amssymb's \checkmark by its font, which every TeX has, where the package is not loaded.
_TICK = r"\providecommand{\checkmark}{{\font\tick=msam10 at 1em\relax\tick\char88}}"
_CHARACTER = (
    r"\providecommand{\unicodechar}[2]{\ifdefined\Umathcode\iffontchar\font"
    r'"#2 #1\else\mbox{U+#2}\fi\else\mbox{U+#2}\fi\allowbreak\,}'
)
_CHARACTERS = (
    "% Characters that the font lacks are printed as code points: take xelatex or lualatex with a font that has them, "
    "or\n% with pdflatex and a package for them \\newcommand{\\unicodechar}[2]{#1} in front.\n"
)
# Behind which a line may end: a number or word (of a long one a part) with the signs around it.
_PARTS = re.compile(r"\s*[(\[{]*(?:\d+(?:\.\d+)+|[^\W_]{1,12})(?:_|[^\w\s(\[{])*|.", re.DOTALL)
LONG = 18  # letters of a name, beyond which a paper's table has it on several lines


def escaped(words: str) -> str:
    """Words for text mode: special characters escaped, signs and Greek as math, accents as commands."""
    words = unicodedata.normalize("NFC", words)
    pieces = []
    for here, after in pairwise(f"{words}\n"):
        pieces.append(_sign(here))
        if here in _LIGATURES and after in _LIGATURES:
            pieces.append("{}")
        if here == after == " ":
            pieces.append("\\")  # spaces in a row are one, unless each is a command
    return "".join(pieces)


def table(
    name: str,
    title: str,
    caption: str,
    titles: Sequence[str],
    numeric: Sequence[bool],
    rows: Sequence[Sequence[str]],
    notes: str,
    paper: bool = False,
) -> str:
    r"""A float to \input. It is shrunk where it is wider than the page, which needs graphicx, and never stretched.

    paper: at the size of the text; intervals stand below their estimates, and long names on several lines.
    """
    lines = []
    for row in (titles, *rows):
        cells = [_paper_cell(text, right) if paper else escaped(text) for text, right in zip(row, numeric, strict=True)]
        lines.append(" & ".join(map(_first, cells)) + r" \\")
    form = "".join("r" if right else "l" for right in numeric)
    body = "\n".join([r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"])
    below = f"\\par\\smallskip\\parbox{{\\textwidth}}{{\\footnotesize {escaped(notes)}}}\n" if notes else ""
    head = f"\\caption[{escaped(title)}]{{{escaped(f'{title}. {caption}')}}}\n\\label{{tab:{name}}}\n"
    used = head + body + below
    own = [line for line, command in ((_TICK, r"\checkmark"), (_CHARACTER, r"\unicodechar")) if command in used]
    return (
        "% needs \\usepackage{booktabs}; with graphicx it is shrunk where it is wider than the page\n"
        f"{_CHARACTERS if _CHARACTER in own else ''}"
        "\\begin{table*}\n\\centering\n\\providecommand{\\resizebox}[3]{#3}\\setlength{\\tabcolsep}{3pt}\n"
        f"{''.join(f'{line}%{chr(10)}' for line in own)}{head}\\par\\addvspace{{6pt}}\n"
        f"\\sbox0{{\\begin{{tabular}}{{{form}}}\n{body}\n\\end{{tabular}}}}%\n"
        "\\ifdim\\wd0>\\textwidth\\resizebox{\\textwidth}{!}{\\usebox0}\\else\\usebox0\\fi\n"
        f"{below}\\end{{table*}}\n"
    )


def _sign(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    if character.isspace():
        return " "
    if character.isascii() and character.isprintable():
        return character
    decomposed = unicodedata.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    if marks and base.isascii() and all(mark in _ACCENTS for mark in marks):
        set_below = rf"\{base}" if base in "ij" and marks[0] not in "\u0323\u0327\u0331" else base
        for mark in marks:
            set_below = rf"\{_ACCENTS[mark]}{{{set_below}}}"
        return set_below
    kind, _, codes = unicodedata.decomposition(character).partition(" ")
    if kind in _SCRIPTS:
        return rf"\{_SCRIPTS[kind]}{{{''.join(_sign(chr(int(code, 16))) for code in codes.split())}}}"
    if unicodedata.category(character)[0] in "CM":  # nothing by itself that a font could show
        return f"U+{ord(character):04X}"
    return rf"\unicodechar{{{character}}}{{{ord(character):04X}}}"


def _first(cell: str) -> str:
    r"""A cell that begins with a star or bracket would be taken for an argument of the \\ before it."""
    return f"{{}}{cell}" if cell.startswith(("*", "[")) else cell


def _paper_cell(text: str, numeric: bool) -> str:
    estimate, bracket, rest = text.partition(" [")
    if numeric and bracket:
        return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{escaped(estimate)}\\{{}}[{escaped(rest)}\end{{tabular}}"
    length = sum(6 if _sign(character).startswith(r"\unicodechar") else 1 for character in text)
    if numeric or length <= LONG:
        return escaped(text)
    broken = r"\allowbreak{}".join(map(escaped, _PARTS.findall(text)))
    return rf"\parbox[t]{{8em}}{{\raggedright\strut {broken}\strut}}"
