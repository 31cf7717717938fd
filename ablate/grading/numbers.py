r"""Numbers as solutions of word problems write them, read without a float and in linear time.

``1,234``, ``$18.00``, ``72%``, ``-3``, ``3/4``, ``1\frac{1}{2}``, ``2.5 \times 10^{3}``. Two are
equal exactly when they read as the same text: a plain decimal where that is exact, else a fraction
in lowest terms.
"""

from __future__ import annotations

import re
from collections import deque
from fractions import Fraction

# Of a part of a fraction, or of a power. Plain decimals may be of any length, and are never
# converted: that takes quadratic time, and Python refuses it beyond 4300 digits.
DIGITS = 300

# Quantifiers are possessive or bounded, so that nothing is tried twice. Those of groups are not: up
# to Python 3.11.4 a possessive group may end where its last, failed attempt did (CPython 106052).
# A look ahead says instead that there is no more of them.
PLAIN = (
    r"(?:(?:[0-9]{1,3}+(?:,[0-9]{3}(?![0-9]))+(?!,[0-9]{3}(?![0-9]))|[0-9]++)"
    r"(?:\.[0-9]++|(?!\.[0-9]))"
    r"|(?<![\w.)\]}])\.[0-9]++)"
)
EXPONENT = r"(?:\{[ ]?(?P<braced>-?[0-9]++)[ ]?\}|(?P<bare>-?[0-9]++))"
FRAC = (
    r"\\frac[ ]?(?:\{[ ]?(?P<%(up)s>-?%(plain)s)[ ]?\}|(?P<%(up)s1>[0-9]))"
    r"[ ]?(?:\{[ ]?(?P<%(down)s>%(plain)s)[ ]?\}|(?P<%(down)s1>[0-9]))"
)
NUMBER = re.compile(
    r"(?<![\w^_])(?<![\^_]\{)"
    r"(?:(?<![\w.)\]}])(?P<sign>[-+]))?(?:[$£€][ ]?(?P<minus>-)?)?"
    rf"(?:{FRAC % {'up': 'over', 'down': 'under', 'plain': PLAIN}}"
    rf"|(?P<plain>{PLAIN})(?:"
    rf"[ ]?{FRAC % {'up': 'mixed', 'down': 'parts', 'plain': PLAIN}}"
    r"|[ ](?P<some>[0-9]++)/(?P<of>[0-9]++)(?![/.]?[0-9])"
    rf"|[ ]?/[ ]?(?P<divisor>{PLAIN})"
    rf"|(?P<times>[ ]?(?:\\times|\\cdot|[×*x])[ ]?10[ ]?(?:\^|\*\*)[ ]?){EXPONENT}"  # noqa: RUF001
    rf"|[ ]?(?:\^|\*\*)[ ]?{EXPONENT.replace('braced', 'braced2').replace('bare', 'bare2')}"
    r"|[eE](?P<e>[-+]?[0-9]++)(?!\w)"
    r")?)",
)

SPELLINGS = (
    ("\u2212", "-"),
    ("\u00a0", " "),
    ("\u202f", " "),
    ("{,}", ","),
    (",\\!", ","),
    ("\\!", ""),
    ("\\$", "$"),
    ("\\%", "%"),
    ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"),
    ("\\cfrac", "\\frac"),
)
THIN_SPACE = re.compile(r"(?<=[0-9])\\,(?=[0-9]{3}(?![0-9]))")
WORDS = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname)[ ]?\{([^{}]*)\}")
UNIT_POWER = re.compile(r"(?<=[A-Za-z])[ ]?\^[ ]?(?:\{[ ]?-?[0-9][ ]?\}|-?[0-9])")
HARMLESS = re.compile(r"\^?\{?\\(?:circ|left|right|quad|displaystyle|[,;:. !()\[\]])\}?|\^\{\}")
LAST_RELATION = re.compile(r"=|\\approx|\\equiv|≈")
MATHS = re.compile(r"[\\^+*/=<>|!_-]")


def only_number(text: str) -> str | None:
    """The one number that a short text consists of, besides units and a left-hand side.

    None where there is none, or several, or one within a formula (``2\\pi``, ``3x``).
    """
    plain = UNIT_POWER.sub("", WORDS.sub(r" \1 ", _spelled(text)))
    plain = _right_hand(plain).strip()
    found = list(NUMBER.finditer(plain))
    if len(found) != 1:
        return None
    (number,) = found
    before, after = plain[: number.start()], plain[number.end() :]
    glued = re.match(r"[A-Za-z](?![A-Za-z])", after)
    rest = HARMLESS.sub("", before) + HARMLESS.sub("", after)
    apart = rest.strip(" $") == "-" and not number["sign"]  # as in "- 3"
    return None if glued or (MATHS.search(rest) and not apart) else _value(number, apart)


def first_number(text: str) -> str | None:
    """The first number of a text, or of what follows its last equals sign."""
    plain = _spelled(text)
    numbers = map(_value, NUMBER.finditer(_right_hand(plain)))
    return next((n for n in numbers if n is not None), None)


def last_number(text: str) -> str | None:
    """The last number of a text."""
    last = deque(NUMBER.finditer(_spelled(text)), maxlen=1)
    return _value(last[0]) if last else None


def _spelled(text: str) -> str:
    """The same text with one spelling for minus signs, thousands and fractions."""
    for spelling, ours in SPELLINGS:
        text = text.replace(spelling, ours)
    return THIN_SPACE.sub(",", text)


def _right_hand(text: str) -> str:
    pieces = LAST_RELATION.split(text)
    return next((piece for piece in reversed(pieces) if piece.strip()), "")


def _value(number: re.Match[str], flipped: bool = False) -> str | None:
    """A number that was found, in the one way it is written here; None if it is not finite."""
    part = number.groupdict()
    negative = flipped ^ (part["sign"] == "-") ^ (part["minus"] == "-")
    other = [v for k, v in part.items() if v is not None and k not in ("sign", "minus", "plain")]
    if not other:
        return _decimal(part["plain"], negative)
    if any(len(piece) > DIGITS for piece in (*other, part["plain"] or "")):
        return None
    value = _rational(part)
    return None if value is None else _written(-value if negative else value)


def _rational(part: dict[str, str | None]) -> Fraction | None:
    """The value without its sign; None for a division by zero and for powers that are too long."""
    whole = _fraction(part["plain"])
    over, under = part["over"] or part["over1"], part["under"] or part["under1"]
    if over is not None:
        return _ratio(_fraction(over), _fraction(under))
    if part["divisor"] is not None:
        return _ratio(whole, _fraction(part["divisor"]))
    some = part["mixed"] or part["mixed1"] or part["some"]
    if some is not None:
        of = part["parts"] or part["parts1"] or part["of"]
        rest = _ratio(_fraction(some), _fraction(of))
        return None if rest is None else whole + rest
    exponent = part["braced"] or part["bare"] or part["e"]
    if exponent is not None:
        return _power(Fraction(10), exponent, whole)
    return _power(whole, part["braced2"] or part["bare2"] or "1", Fraction(1))


def _power(base: Fraction, exponent: str, times: Fraction) -> Fraction | None:
    """``times * base ** exponent``, unless it would have too many digits."""
    power = int(exponent)
    size = max(len(str(base.numerator)), len(str(base.denominator)))
    if size * abs(power) > 2 * DIGITS or (not base and power < 0):
        return None
    return times * base**power


def _fraction(plain: str | None) -> Fraction:
    return Fraction((plain or "0").replace(",", ""))


def _ratio(over: Fraction, under: Fraction) -> Fraction | None:
    return over / under if under else None


def _written(value: Fraction) -> str:
    """A decimal where that is exact, else ``n/d`` in lowest terms."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    point = len(digits) - places
    return _decimal(f"{digits[:point]}.{digits[point:]}", value < 0)


def _decimal(plain: str | None, negative: bool) -> str:
    """Digits without thousands separators and without zeros that say nothing."""
    whole, _, places = (plain or "").replace(",", "").partition(".")
    whole, places = whole.lstrip("0") or "0", places.rstrip("0")
    written = f"{whole}.{places}" if places else whole
    return f"-{written}" if negative and written != "0" else written
