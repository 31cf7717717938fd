"""Run by the interpreter that has gptqmodel: ``python child_of_gptqmodel.py REQUEST``.

Nothing of ablate can be imported here, only what that interpreter's environment has. The request's
``script`` is a file with ``quantize(request, rows)``, which saves the checkpoint.
"""

from __future__ import annotations

import json
import random
import runpy
import sys
from pathlib import Path


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    runpy.run_path(request["lifeline"])["exit_with_parent"]()

    import torch

    random.seed(request["seed"])
    torch.manual_seed(request["seed"])
    rows = [{"input_ids": row, "attention_mask": [1] * len(row)} for row in request["rows"]]
    runpy.run_path(request["script"])["quantize"](request, rows)


if __name__ == "__main__":
    main()
