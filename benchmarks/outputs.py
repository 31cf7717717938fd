"""Outputs that a model could give, made from a problem's own solution: right, wrong and broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Make = Callable[[Sequence[Row], int], str]


def _always(text: str) -> Make:
    return lambda *_: text


def _from(template: str, of: Callable[[Sequence[Row], int], str]) -> Make:
    return lambda rows, i: template.replace("@", of(rows, i))


# Word problems whose solutions end with "#### 18"


def number(rows: Sequence[Row], i: int) -> str:
    return str(rows[i]["answer"]).rpartition("#### ")[2].strip().replace(",", "")


def one_more(rows: Sequence[Row], i: int) -> str:
    return str(int(number(rows, i)) + 1)


def grouped(rows: Sequence[Row], i: int) -> str:
    return f"{int(number(rows, i)):,}"


def solution(rows: Sequence[Row], i: int) -> str:
    return f" {rows[i]['answer']}"


WORD_PROBLEMS: Mapping[str, Make] = {
    "its solution": solution,
    "another's solution": lambda rows, i: solution(rows, (i + 1) % len(rows)),
    "one more": lambda rows, i: (
        solution(rows, i).rpartition("#### ")[0] + f"#### {one_more(rows, i)}"
    ),
    "cut in half": lambda rows, i: solution(rows, i)[: len(rows[i]["answer"]) // 2],
    "#### with dollars": _from("#### $@", grouped),
    "#### with commas": _from("so\n#### @.", grouped),
    "#### with zeros": _from("#### @.00", number),
    "#### glued": _from("####@", number),
    "#### twice": _from("#### 7\nNo:\n#### @", number),
    "in a sentence": _from("She earns $@ every day.", grouped),
    "in a sentence, more numbers": _from("She earns @ dollars in 7 days.", number),
    "in a box": _from("\\boxed{@}", number),
    "negative": _from("The answer is -@", number),
    "with dots": _from("It is @...", number),
    "two lines": _from("@\n\n@ eggs", number),
    "words alone": _always("I do not know."),
    "empty": _always(""),
}

# Formulas


def answer(rows: Sequence[Row], i: int) -> str:
    return str(rows[i]["answer"])


def another(rows: Sequence[Row], i: int) -> str:
    return answer(rows, (i + 1) % len(rows))


def respelled(rows: Sequence[Row], i: int) -> str:
    plain = answer(rows, i).replace("\\left", "").replace("\\right", "")
    return plain.replace("\\frac", "\\dfrac").replace(" ", "")


def worked(rows: Sequence[Row], i: int) -> str:
    return f" {rows[i]['solution']}"


ENDING = "\nFinal Answer: The final answer is $@$. I hope it is correct."

FORMULAS: Mapping[str, Make] = {
    "its solution": worked,
    "its solution, examples' ending": lambda rows, i: (
        worked(rows, i) + ENDING.replace("@", answer(rows, i))
    ),
    "its solution, another's ending": lambda rows, i: (
        worked(rows, i) + ENDING.replace("@", another(rows, i))
    ),
    "examples' ending": _from(ENDING, answer),
    "… other spelling": _from(ENDING, respelled),
    "… another's answer": _from(ENDING, another),
    "… plus one": _from(ENDING.replace("@", "@ + 1"), answer),
    "in a box": _from("so it is \\boxed{@}.", answer),
    "another's in a box": _from("so it is \\boxed{@}.", another),
    "in dollars": _from("We get $@$", answer),
    "bare": _from("The answer is: @", answer),
    "cut in half": lambda rows, i: worked(rows, i)[: len(rows[i]["solution"]) // 2],
    "box left open": _from("it is \\boxed{@", answer),
    "garbage": _always("\\frac{\\left( $ }{ \\boxed \\sqrt[ {1}^ $$ & \\\\ \\end{x}"),
    "words alone": _always("I do not know."),
    "empty": _always(""),
}

# Integers from 0 to 999


def integer(rows: Sequence[Row], i: int) -> str:
    return str(next(v for k, v in rows[i].items() if k.lower() == "answer"))


def padded(rows: Sequence[Row], i: int) -> str:
    return integer(rows, i).rjust(3, "0")


CONTESTS: Mapping[str, Make] = {
    "bare": integer,
    "in a box": _from("so $x = 5$ and \\boxed{@}.", integer),
    "in a box, padded": _from("\\boxed{@}", padded),
    "in a box without braces": _from("it is $\\boxed @$", integer),
    "in a framed box": _from("\\fbox{@}", integer),
    "in dollars": _from("We get $@$", integer),
    "in dollars, a sum": _from("We get $m+n=@$", integer),
    "in a sentence": _from("The answer is @.", integer),
    "one more": lambda rows, i: f"\\boxed{{{int(integer(rows, i)) + 1}}}",
    "box left open": _from("\\boxed{@", integer),
    "words alone": _always("I do not know."),
    "empty": _always(""),
}
