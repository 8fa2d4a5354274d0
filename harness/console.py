"""What all commands share: names in the usage line, and errors as a sentence with exit code 2.

The function of a command imports what it runs, so that --help loads only the types of the arguments.
"""

import dataclasses
import inspect
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

import tyro

from harness.errors import UserError
from harness.files import store
from harness.progress import Bar

Command = Callable[..., Any]
Quiet = Annotated[
    bool,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.arg(help="Do not show progress.", help_behavior_hint=""),
]


def command_line(commands: dict[str, Command], prog: str, description: str) -> None:
    """Parses the arguments, runs the command that they name and exits."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a sign shows "?" instead.
            stream.reconfigure(errors="replace")
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    command = commands.get(name)
    try:
        try:
            if command is not None:
                config = (tyro.conf.OmitArgPrefixes,)
                tyro.cli(_described(command), prog=f"{prog} {name}", args=sys.argv[2:], config=config)
            elif {"-h", "--help"} & set(sys.argv[1:]):
                print(_overview(commands, prog, description))
            else:
                expected = f"one of {', '.join(commands)}, got {name or 'none'}"
                raise UserError(f"command: expected {expected}; `{prog} --help` describes them")
        finally:
            sys.stdout.flush()
    except UserError as error:
        _exit(prog, _as_typed(str(error), command) if command else str(error))
    except KeyboardInterrupt:
        print(f"\n{prog}: interrupted; run the same command again to resume", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        _discard_output()  # The reader of a pipe (head, less) exited.
        sys.exit(1)
    except OSError as error:
        _discard_output()
        where = error.filename or ("standard output" if error.errno in store.NO_SPACE else None)
        message = f"{where}: {error.strerror}" if where else str(error)
        _exit(prog, f"{message}; correct this and run the same command again")


def _exit(prog: str, message: str) -> NoReturn:
    print(f"{prog}: error: {message}", file=sys.stderr)
    sys.exit(2)


def _discard_output() -> None:
    """What is not written yet goes nowhere, because Python would complain again as it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _overview(commands: dict[str, Command], prog: str, description: str) -> str:
    """What every command does. tyro would describe the arguments of all commands first, which takes long."""
    column, width = max(map(len, commands)) + 4, shutil.get_terminal_size().columns
    lines = [f"usage: {prog} COMMAND ...", "", description, ""]
    for name, command in commands.items():
        summary, _, _ = (inspect.getdoc(command) or "").partition("\n\n")
        head = f"  {name}".ljust(column)
        lines += textwrap.wrap(summary, width, initial_indent=head, subsequent_indent=" " * column)
    return "\n".join([*lines, "", f"`{prog} COMMAND --help` describes the arguments of a command."])


def _described(command: Command) -> Command:
    """The command with --quiet, and arguments that the help shows by name, such as BENCHMARK or --out OUT.

    tyro would show their types, and "(default: None)" for an argument without a default. A parameter before
    "/" is positional unless it is a dataclass, whose fields are flags.
    """

    def named(*args: Any, quiet: bool, **kwargs: Any) -> Any:
        Bar.quiet = quiet
        return command(*args, **kwargs)

    signature, types = inspect.signature(command), get_type_hints(command, include_extras=True)
    parameters = []
    for parameter in signature.parameters.values():
        annotation = types[parameter.name]
        if dataclasses.is_dataclass(annotation):
            _describe_fields(annotation)
        else:
            annotation = _argument(parameter.name, annotation)
            if parameter.kind is parameter.POSITIONAL_ONLY:
                annotation = Annotated[annotation, tyro.conf.Positional]
                if parameter.default is parameter.empty:  # tyro takes no value for several as a default
                    annotation = Annotated[annotation, tyro.conf.arg(help_behavior_hint="(required)")]
        parameters.append(parameter.replace(annotation=annotation))
    parameters.append(
        inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet)
    )
    named.__doc__, named.__name__ = command.__doc__, command.__name__
    named.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    named.__annotations__ = {p.name: p.annotation for p in parameters}
    return named


def _describe_fields(type_: Any) -> None:
    """The same for the fields of a dataclass and its bases, where tyro looks for their annotations."""
    for class_ in type_.__mro__[:-1]:
        for name, annotation in class_.__annotations__.items():
            if dataclasses.is_dataclass(annotation):
                _describe_fields(annotation)
            elif get_origin(annotation) is not Annotated:
                class_.__annotations__[name] = _argument(name, annotation)


def _argument(name: str, annotation: Any) -> Any:
    """The annotation with the name of the value in the help: the argument's own, or INT, FLOAT or choices."""
    value = _value_type(annotation)
    if get_origin(value) is Literal:
        metavar = f"{{{','.join(map(str, get_args(value)))}}}"
    else:
        metavar = value.__name__.upper() if value in (int, float) else name.upper().replace("_", "-")
    if get_origin(annotation) is tuple:
        metavar = f"{metavar} [{metavar} ...]"
    if get_origin(annotation) is UnionType:
        # Written as X | None, tyro imports typeguard, which takes long.
        annotation = Union[get_args(annotation)]  # noqa: UP007
    if value is bool:
        return Annotated[annotation, tyro.conf.arg(help_behavior_hint=_default)]
    return Annotated[annotation, tyro.conf.arg(metavar=metavar, help_behavior_hint=_default)]


def _value_type(annotation: Any) -> Any:
    """The type of one value: X for X, X | None, tuple[X, ...] and Positional[X]."""
    arguments = [a for a in get_args(annotation) if a not in (type(None), ...)]
    if get_origin(annotation) is Literal or not arguments:
        return annotation
    return _value_type(arguments[0])


def _default(value: str) -> str:
    return "" if value in ("None", "") else f"(default: {value})"


def _as_typed(message: str, command: Command) -> str:
    """The message with the arguments at its beginning as the user typed them: `--max-new-tokens`."""
    typed = dict(_arguments(command))
    head, colon, rest = message.partition(":")
    names = head.split(", ")
    # A path after the command may have the name of an argument.
    if colon and all(name in typed for name in names) and head not in sys.argv[2:]:
        return ", ".join(typed[name] for name in names) + colon + rest
    return message


def _arguments(command: Command) -> Iterator[tuple[str, str]]:
    """Each argument of a command with how it is typed; the fields of its dataclasses are flags."""
    types = get_type_hints(command)
    for name, parameter in inspect.signature(command).parameters.items():
        dashed = name.replace("_", "-")
        if dataclasses.is_dataclass(types[name]):
            # The field of --for is `for_`, because `for` is a keyword.
            fields = (field.rstrip("_") for field in _fields(types[name]))
            yield from ((field, f"--{field.replace('_', '-')}") for field in fields)
        else:
            yield name, dashed.upper() if parameter.kind is parameter.POSITIONAL_ONLY else f"--{dashed}"


def _fields(type_: Any) -> Iterator[str]:
    types = get_type_hints(type_)
    for field in dataclasses.fields(type_):
        if dataclasses.is_dataclass(types[field.name]):
            yield from _fields(types[field.name])
        else:
            yield field.name
