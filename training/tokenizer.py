"""The tiny models' tokenizer: byte-level BPE, 512 tokens, ChatML, any text encodable.

``python -m training.tokenizer --out FOLDER`` builds and saves a new one. The shipped models share
the one that lies beside them, which training goes on using: a change of the domains would change
the order of the pieces, and with it every token's number.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import ablate
from ablate.domains import BUILT_IN
from ablate.domains._split import Generated
from ablate.thinking import THINK_CLOSE, THINK_OPEN

SHIPPED = Path(ablate.__file__).parent / "models" / "tiny-reasoner"
VOCABULARY = 512
READ_UP_TO = 10  # difficulty of the problems that the merges are counted on
PAD, IM_START, IM_END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CONTROL = (PAD, IM_START, IM_END)
# Not "special", so that decode(skip_special_tokens=True) keeps them in the text.
THINKING = (THINK_OPEN, THINK_CLOSE)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# A sign with its spaces is one piece, a digit always a piece of its own; a digit, a word or a mark
# takes the space before it, a line break the indent after it.
PIECES = Regex(r" [-+*=] | ?\d| ?[^\W\d_]+| ?[^\w\s]|\n +|\s|_")

# The domains use few words; these fill the vocabulary with pieces of ordinary English.
ENGLISH = """
the of and to in is you that it he was for on are as with his they at be this have from or one had
by word but not what all were we when your can said there use an each which she do how their if
will up other about out many then them these so some her would make like him into time has look two
more write go see number no way could people my than first water been call who oil its now find
long down day did get come made may part over new sound take only little work know place year live
me back give most very after thing our just name good sentence man think say great where help
through much before line right too mean old any same tell boy follow came want show also around
form three small set put end does another well large must big even such because turn here why ask
went men read need land different home us move try kind hand picture again change off play spell
air away animal house point page letter mother answer found study still learn should
"""


def chat(prompt: str) -> str:
    """A single user turn, as the chat template writes it before the answer."""
    return f"{IM_START}user\n{prompt}{IM_END}\n{IM_START}assistant\n"


def shared() -> PreTrainedTokenizerFast:
    """The shipped models' tokenizer."""
    return _wrapped(Tokenizer.from_file(str(SHIPPED / "tokenizer.json")))


def build() -> PreTrainedTokenizerFast:
    """Make a new tokenizer; the same on every call."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(PIECES, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(THINKING),
        special_tokens=list(CONTROL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(_texts(), trainer)
    core.add_tokens([AddedToken(word, special=False, normalized=False) for word in THINKING])
    return _wrapped(core)


def _wrapped(core: Tokenizer) -> PreTrainedTokenizerFast:
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        bos_token=IM_START,
        eos_token=IM_END,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def save(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save it under the class name that every transformers release knows."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2) + "\n")


def _texts() -> Iterator[str]:
    for domain in BUILT_IN:
        options = {"max_difficulty": READ_UP_TO} if issubclass(domain, Generated) else {}
        for problem in domain(**options).training(1000, seed=0):
            yield f"user\n{problem.prompt}\nassistant\n{problem.solution}"
    yield " ".join(ENGLISH.split())
    yield " ".join(ENGLISH.title().split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    save(build(), parser.parse_args().out)


if __name__ == "__main__":
    main()
