"""``ablate plugins``: what is installed; ``show`` one, ``check`` one, write a ``new`` one."""

from __future__ import annotations

import argparse
from pathlib import Path

from ablate.console import console
from ablate.errors import AblateError
from ablate.scaffold import KINDS


def add_plugins(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_list)
    commands = parser.add_subparsers(metavar="list|show|check|new")
    listing = commands.add_parser("list", help="everything that is installed (the default)")
    listing.set_defaults(command=_list)
    show = commands.add_parser("show", help="everything about one of them")
    show.add_argument("name", metavar="NAME")
    show.set_defaults(command=_show)
    check = commands.add_parser(
        "check",
        help="does it do what it says?",
        epilog="Exit codes: 0 every check holds, 1 one fails, 2 there is nothing to check.",
    )
    check.add_argument(
        "what",
        nargs="+",
        metavar="NAME|PATH",
        help="an installed plugin or component, or the folder of a plugin's project",
    )
    check.set_defaults(command=_check)
    new = commands.add_parser("new", help="write a small working plugin, ready to be published")
    new.add_argument("name", metavar="NAME", help="as recipes are to name it")
    new.add_argument("--kind", required=True, choices=KINDS)
    new.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="its folder (default: ablate-NAME)"
    )
    new.set_defaults(command=_new)


def _list(_: argparse.Namespace) -> int:
    from ablate.plugins import installed
    from ablate.show.plugins import print_plugins

    print_plugins(installed(), console())
    return 0


def _show(args: argparse.Namespace) -> int:
    from ablate.plugins import installed
    from ablate.show.one import print_one

    print_one(installed(), args.name, console())
    return 0


def _check(args: argparse.Namespace) -> int:
    """Check each; the exit code is the worst of them."""
    from ablate.checking import check_installed, check_project
    from ablate.plugins import installed

    names = [what for what in args.what if not _is_project(what)]
    failed = bool(names) and not check_installed(installed(), names, console())
    codes = [check_project(Path(what)) for what in args.what if _is_project(what)]
    return max([int(failed), *codes])


def _is_project(what: str) -> bool:
    """Whether a folder is meant: it is written as a path, or nothing of that name is installed."""
    if "/" in what or what == ".":
        if not Path(what).is_dir():
            raise AblateError(f"there is no folder {what}")
        return True
    from ablate.plugins import installed
    from ablate.show.one import names

    return Path(what).is_dir() and what not in names(installed())


def _new(args: argparse.Namespace) -> int:
    from ablate.plugins import installed
    from ablate.scaffold import write_project

    folder = write_project(args.name, args.kind, args.output_dir, installed())
    print(f"wrote {folder}; now:\n  cd {folder}\n  pip install -e '.[dev]' && pytest")
    return 0
