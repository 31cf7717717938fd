"""``python -m ablate.testing.fake_server --model FOLDER --port N …``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

from aiohttp import web

from ablate.testing.fake_server.app import Fake
from ablate.testing.fake_server.behaviour import Behaviour


def main() -> None:
    parser = argparse.ArgumentParser()
    for each in fields(Behaviour):
        kind = {"int": int, "float": float}.get(str(each.type), str)
        parser.add_argument(f"--{each.name}", type=kind, default=each.default)
    does = Behaviour(**vars(parser.parse_args()))
    print("loading", does.model, flush=True)
    if does.dies:
        print(does.dies, flush=True)
        sys.exit(3)
    web.run_app(Fake(does).application(), host=does.host, port=does.port, print=None)


if __name__ == "__main__":
    main()
