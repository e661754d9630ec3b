"""The verbs, put together, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from palate import __version__
from palate.cli import (
    adapt,
    ask,
    demo,
    elasticity,
    encoders,
    experiment,
    folder,
    forecast,
    forget,
    learn,
    logs,
    newcomers,
    off_policy,
    operate,
    predict,
    price,
    ratings,
    rules,
    simulate,
    tune,
    willingness,
)

FAILED = 1
USAGE = 2


class Verbs(TyperGroup):
    """A group whose verbs may raise: palate's errors are printed as one message, without a stack trace."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (TyperException, typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:
            raise typer.Exit(0) from None  # the reader, `head` for one, has seen enough
        except Exception as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            raise typer.Exit(report(error)) from None


def report(error: Exception) -> int:
    """Print an error for a person and say with which code to leave."""
    from palate.core.errors import PalateError, UsageError

    if isinstance(error, UsageError):
        code, text = USAGE, str(error)
    elif isinstance(error, PalateError):
        code, text = FAILED, str(error)
    elif isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        code, text = FAILED, f"{what}{error.strerror or error}"
    else:
        code = FAILED
        text = f"something unexpected went wrong: {type(error).__name__}: {error}\n`palate --debug ...` shows where."
    print(f"palate: {text}", file=sys.stderr)
    return code


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a folder of events and a catalogue to measured, explained, served recommendations.",
    epilog="Start with [bold]palate demo[/bold], or with your own data: [bold]palate init shop[/bold]. "
    "[bold]PALATE_THREADS=1[/bold] holds it to one thread, which is faster where other programs are busy too.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"palate {__version__}")
        raise typer.Exit


@app.callback()
def palate(
    debug: Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """From a folder of events and a catalogue to measured, explained, served recommendations."""
    from palate.core.threads import limit_threads

    limit_threads()


LEARNING = (demo, folder, learn, adapt, rules, tune, encoders, newcomers, ask, forecast, predict, ratings)
OPERATING = (elasticity, simulate, willingness, price, experiment, off_policy, operate, logs, forget)

for verbs in (*LEARNING, *OPERATING):
    verbs.register(app)
