"""What all commands share: names in the usage line, and errors as a sentence with exit code 2."""

import dataclasses
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_type_hints

import tyro

from harness.errors import UserError

Command = Callable[..., Any]


def command_line(commands: dict[str, Command], prog: str, description: str) -> None:
    """Parses the arguments, runs the subcommand that they name and exits."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            {name: _with_metavars(command) for name, command in commands.items()},
            prog=prog,
            description=description,
            config=(tyro.conf.OmitArgPrefixes,),
        )
    except UserError as error:
        command = commands.get(sys.argv[1] if len(sys.argv) > 1 else "")
        message = _as_typed(str(error), command) if command else str(error)
        print(f"{prog}: error: {message}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"\n{prog}: interrupted; run the same command again to resume", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe (head, less) exited. Without this, Python complains again as it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _with_metavars(command: Command) -> Command:
    """The command with positional arguments that the usage line shows by name, such as BENCHMARK.

    tyro would show their types instead. A parameter before "/" is positional unless it is a dataclass, whose
    fields are flags.
    """

    def named(*args: Any, **kwargs: Any) -> Any:
        return command(*args, **kwargs)

    signature, types = inspect.signature(command), get_type_hints(command, include_extras=True)
    parameters = []
    for parameter in signature.parameters.values():
        annotation = types[parameter.name]
        if parameter.kind is parameter.POSITIONAL_ONLY and not dataclasses.is_dataclass(annotation):
            metavar = parameter.name.upper().replace("_", "-")
            annotation = Annotated[annotation, tyro.conf.arg(metavar=metavar), tyro.conf.Positional]
        parameters.append(parameter.replace(annotation=annotation))
    named.__doc__, named.__name__ = command.__doc__, command.__name__
    named.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    named.__annotations__ = {p.name: p.annotation for p in parameters}
    return named


def _as_typed(message: str, command: Command) -> str:
    """The message with the arguments at its beginning as the user typed them: `--max-new-tokens`."""
    typed = dict(_arguments(command))
    head, colon, rest = message.partition(":")
    names = head.split(", ")
    if colon and all(name in typed for name in names):
        return ", ".join(typed[name] for name in names) + colon + rest
    return message


def _arguments(command: Command) -> Iterator[tuple[str, str]]:
    """Each argument of a command with how it is typed; the fields of its dataclasses are flags."""
    types = get_type_hints(command)
    for name, parameter in inspect.signature(command).parameters.items():
        dashed = name.replace("_", "-")
        if dataclasses.is_dataclass(types[name]):
            yield from ((field, f"--{field.replace('_', '-')}") for field in _fields(types[name]))
        else:
            yield name, dashed.upper() if parameter.kind is parameter.POSITIONAL_ONLY else f"--{dashed}"


def _fields(type_: Any) -> Iterator[str]:
    types = get_type_hints(type_)
    for field in dataclasses.fields(type_):
        if dataclasses.is_dataclass(types[field.name]):
            yield from _fields(types[field.name])
        else:
            yield field.name
