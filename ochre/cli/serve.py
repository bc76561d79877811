"""`ochre run`: the server. Its options are the server's settings."""

from __future__ import annotations

import inspect
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
import typer

from ochre.cli.output import complain
from ochre.errors import InvalidArgumentError, StorageError
from ochre.settings import Settings

_HANDED_DOWN = "_OCHRE_WORKER_SETTINGS"
"""Tells worker processes what they were started with."""

_MATH_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""How many threads NumPy's libraries take for one product of matrices, each for itself: they read it when loaded."""


def run(config: Path | None = None, **flags: Any) -> None:
    """Serve a folder over HTTP, with Chroma's protocol.

    Settings come from these options, from environment variables (OCHRE_ and the option's name, OCHRE_PORT) and from a
    YAML file, in this order. Chroma's configuration file is understood too.

    Example: ochre run --path ./data --port 8000
    """
    for variable in _MATH_THREADS:  # queries run beside each other: threads of each of them would fight for the cores
        os.environ.setdefault(variable, "1")
    try:
        from ochre.server.logs import configure
        from ochre.server.runner import run as serve
        from ochre.server.settings import load_settings
    except ImportError as error:
        complain(f'the server needs {error.name}: pip install "ochre[server]"')
        raise typer.Exit(1) from error
    settings = load_settings(flags, os.environ, _read(config) if config else None)
    configure(settings.log_level, settings.log_format)
    if settings.workers == 1:
        serve(application(settings), settings)
        return
    os.environ[_HANDED_DOWN] = msgspec.json.encode(settings).decode()
    application(settings, check_only=True)  # whatever is wrong is told once, by this process
    with tempfile.TemporaryDirectory(prefix="ochre-metrics-") as counters:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counters
        serve("ochre.cli.serve:worker", settings)


def application(settings: Any, *, check_only: bool = False) -> Any:
    """Open the folder and make the application that serves it; only open and close it with `check_only`."""
    from ochre.connect.engines import open_engine
    from ochre.server.app import create_app
    from ochre.server.auth import Authenticator
    from ochre.server.keys import KeyStore
    from ochre.server.logs import LOGGER

    folder = Path(settings.path).expanduser().absolute()
    keys = KeyStore(folder)
    locked = settings.asks_for_keys(keys_exist=keys.exists())
    authenticator = Authenticator(None if settings.auth == "off" else keys, open_until_first_key=not locked)
    names = ("allow_reset", "synchronous", "busy_timeout", "allow_network_folder")
    chosen = Settings(**{name: getattr(settings, name) for name in names}, memory_limit=settings.memory_limit or None)
    if locked and not keys.usable() and (check_only or settings.workers == 1):
        LOGGER.warning("no API key is left: every request is refused until `ochre keys create` makes one")
    engine = open_engine(folder, chosen, "r" if settings.read_only else "w")
    if check_only:
        engine.close()
        return None
    return create_app(engine, settings, authenticator)


def worker() -> Any:
    """Make the application of one worker process."""
    from ochre.server.logs import configure
    from ochre.server.runner import end_with
    from ochre.server.settings import ServerSettings

    end_with(os.getppid())
    settings = msgspec.json.decode(os.environ[_HANDED_DOWN], type=ServerSettings)
    configure(settings.log_level, settings.log_format)
    return application(settings)


def _read(config: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.load(config.read_text(encoding="utf-8"), _once_only(yaml))  # noqa: S506  (a safe loader)
    except OSError as error:
        raise StorageError(f"the configuration file {config} cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise InvalidArgumentError(f"the configuration file {config} is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise InvalidArgumentError(
            f"the configuration file {config} holds no settings: expected lines of `name: value`"
        )
    return found


def _once_only(yaml: Any) -> Any:
    """Return YAML's safe loader, but for mappings that name a key twice: of those it would take the last."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # imported late, so nothing is known of it
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = next((key for number, key in enumerate(keys) if key in keys[:number]), None)
            if twice is not None:
                raise yaml.YAMLError(f"{twice!r} stands there twice")
            return super().construct_mapping(node, deep)

    return Loader


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every setting, and the configuration file as its argument."""
    from ochre.server.settings import OPTIONS, ServerSettings

    hints = get_type_hints(ServerSettings)
    parameters = [
        inspect.Parameter(
            "config",
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=None,
            annotation=Annotated[Path | None, typer.Argument(help="a YAML file of settings", show_default=False)],
        )
    ]
    for name, item in OPTIONS.items():
        kind = hints[name] if hints[name] in {int, float, bool} else str
        flag = "--" + name.replace("_", "-")
        option = typer.Option(
            f"{flag}/--no-{flag[2:]}" if kind is bool else flag,
            help=item.metadata["meaning"] + choices(item),
            show_default=shown(item.default) or False,
        )
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
            )
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    return command


def choices(item: Any) -> str:
    """Return what a setting may be, in brackets; nothing where that is not one of a few words."""
    words = re.findall(r"'(\w+)'", item.type) if item.type.startswith("Literal") else []
    return f" ({', '.join(words)})" if words else ""


def shown(default: Any) -> str:
    """Return a setting's default as the pages and the help tell it; nothing where there is none."""
    if isinstance(default, bool):
        return "on" if default else "off"
    return "" if default in (None, ()) else str(default)
