"""The command line: ``ablate run``, ``plan``, ``report``, ``gate``, ``compare``, ``plugins``,
``artifacts``.

Exit codes: 0, all is well; 1, the run ended and some of its trials failed, or a claim is refuted;
2, the user has something to put right; 3, a claim is undecided; 130, interrupted; 141, nobody
reads the output any more.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ablate import __version__
from ablate.cli_plugins import add_plugins
from ablate.console import console
from ablate.errors import AblateError

if TYPE_CHECKING:
    from ablate.planning import Plan
    from ablate.store import RunDir


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = _parse(given)
    try:
        code: int = args.command(args)
        sys.stdout.flush()
        return code
    except AblateError as error:
        _complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        _say_how_to_resume(args, given)
        return 130
    except BrokenPipeError:
        # Python flushes stdout once more at exit, and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parse(given: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    args, rest = parser.parse_known_args(given)
    # argparse stops collecting overrides at the first option; they may stand behind it, too.
    unknown = [a for a in rest if not _is_override(a) or "overrides" not in args]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if "overrides" in args:
        args.overrides += rest
    return args


def _is_override(text: str) -> bool:
    return text.startswith("@") or ("=" in text and not text.startswith("-"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ablate",
        description="Which inference optimizations to switch on, measured domain by domain.",
        epilog="Exit codes: 0 all is well, 1 some trials failed, 2 something to put right.",
    )
    parser.add_argument("--version", action="version", version=f"ablate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="measure every arm of a recipe, and report")
    _add_recipe(run)
    run.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="the run's folder (default: runs/NAME-TIME)",
    )
    run.add_argument(
        "--resume",
        action="store_true",
        help="run what is missing of DIR, or of the newest run of this recipe",
    )
    _add_permission(run)
    run.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    run.set_defaults(command=_run)
    plan = commands.add_parser("plan", help="check a recipe: arms, trials, conflicts, tokens")
    _add_recipe(plan)
    _add_permission(plan)
    plan.set_defaults(command=_plan)
    add_plugins(commands.add_parser("plugins", help="what is installed; show, check or write one"))
    report = commands.add_parser("report", help="print and write the report of a run again")
    report.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    report.set_defaults(command=_report)
    gate = commands.add_parser(
        "gate",
        help="do the recipe's claims hold in a run?",
        epilog="Exit codes: 0 all supported, 1 one refuted, 3 one undecided, 2 no claims.",
    )
    gate.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    gate.add_argument("--claims", action="store_true", help="judge by the claims (always so)")
    gate.set_defaults(command=_gate)
    compare = commands.add_parser("compare", help="two runs of one recipe, arm by arm")
    compare.add_argument("first", type=Path, metavar="RUN_A")
    compare.add_argument("second", type=Path, metavar="RUN_B")
    compare.set_defaults(command=_compare)
    _add_artifacts(commands.add_parser("artifacts", help="quantized models that are kept on disk"))
    return parser


def _add_artifacts(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_list_artifacts)
    commands = parser.add_subparsers(metavar="list|path|rm")
    listing = commands.add_parser("list", help="what is kept, the newest first (the default)")
    listing.set_defaults(command=_list_artifacts)
    path = commands.add_parser("path", help="print the folder of one")
    path.add_argument("name", metavar="NAME", help="a name, or how it begins")
    path.set_defaults(command=_artifact_path)
    rm = commands.add_parser("rm", help="delete some; they are made anew when needed")
    rm.add_argument("names", nargs="*", metavar="NAME", help="a name, or how it begins")
    rm.add_argument("--all", action="store_true", help="delete all of them")
    rm.set_defaults(command=_remove_artifacts)


def _add_recipe(command: argparse.ArgumentParser) -> None:
    command.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file")
    command.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="set a key of the recipe, such as sampling.max_tokens=1024, or all in a file: @FILE",
    )


def _add_permission(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--allow-unsandboxed-code",
        action="store_true",
        help="run code that models wrote without a sandbox where there is none (dangerous)",
    )


def _run(args: argparse.Namespace) -> int:
    plan = _planned(args)
    if args.dry_run:
        return _show_plan(plan)
    from ablate.running import run_plan

    return _report_on(run_plan(plan, args.output_dir, args.resume))


def _plan(args: argparse.Namespace) -> int:
    return _show_plan(_planned(args))


def _planned(args: argparse.Namespace) -> Plan:
    from ablate.planning import plan_recipe
    from ablate.sandbox import ALLOW

    if args.allow_unsandboxed_code:
        os.environ[ALLOW] = "1"  # for the trials' processes, too
    return plan_recipe(args.recipe, args.overrides)


def _show_plan(plan: Plan) -> int:
    from ablate.show.plans import print_plan

    print_plan(plan, console())
    return 0


def _report(args: argparse.Namespace) -> int:
    from ablate.store import RunDir

    return _report_on(RunDir(args.run_dir))


def _report_on(run_dir: RunDir) -> int:
    """Write and print a run's report; 1 if a trial is missing or failed."""
    from ablate.report import print_report, write_report

    print_report(write_report(run_dir), console())
    info = run_dir.info()
    ended = [run_dir.trial(arm, block).result() for arm, block in info.places]
    return 0 if all(result and result.status == "ok" for result in ended) else 1


def _gate(args: argparse.Namespace) -> int:
    """Print each claim with its answer; the exit code is the worst of them."""
    from ablate.report.gate import gate
    from ablate.store import RunDir

    code, lines = gate(RunDir(args.run_dir))
    shown = console()
    for line in lines:
        shown.print(line, markup=False)
    return code


def _compare(args: argparse.Namespace) -> int:
    from ablate.report.compare import compare_runs, print_comparison
    from ablate.store import RunDir

    print_comparison(compare_runs(RunDir(args.first), RunDir(args.second)), console())
    return 0


def _list_artifacts(_: argparse.Namespace) -> int:
    from ablate.artifacts import cache_root, kept
    from ablate.show.artifacts import print_artifacts

    print_artifacts(kept(), cache_root(), console())
    return 0


def _artifact_path(args: argparse.Namespace) -> int:
    from ablate.artifacts import find

    print(find(args.name).path)
    return 0


def _remove_artifacts(args: argparse.Namespace) -> int:
    """Delete artefacts; every name is looked up before the first is deleted."""
    from ablate.artifacts import find, kept, remove

    if args.all == bool(args.names):
        raise AblateError("say which artefacts to delete: names, or --all")
    found = kept() if args.all else [find(name) for name in args.names]
    for one in {one.name: one for one in found}.values():
        remove(one)
        print(f"deleted {one.name}")
    return 0


def _complain(error: AblateError) -> None:
    problems = getattr(error, "problems", ())
    if len(problems) > 1:
        print(f"ablate: error: {len(problems)} problems", file=sys.stderr)
        print(*(f"  - {p}" for p in problems), sep="\n", file=sys.stderr)
    else:
        print(f"ablate: error: {error}", file=sys.stderr)


def _say_how_to_resume(args: argparse.Namespace, given: Sequence[str]) -> None:
    print("\nablate: interrupted", file=sys.stderr)
    if args.command is _run:
        again = given if args.resume else [*given, "--resume"]
        print(f"ablate: to go on: ablate {shlex.join(again)}", file=sys.stderr)
