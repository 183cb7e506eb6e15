"""A registry is a plain dict from names to import paths; nothing is imported until it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from robot_learn.errors import UserError, unknown


def load(table: Mapping[str, str], name: str, *, kind: str) -> Any:
    """Import what `name` stands for in `table`, e.g. "sims.metaworld:family".

    A name with a colon is itself an import path, so a plugin needs no registration.

    Raises:
        UserError: the name is not in the table, or its import path leads nowhere.
    """
    path = name if ":" in name else table.get(name)
    if path is None:
        raise unknown(kind, name, table)
    module_name, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        # A dependency that is missing inside the module is another matter than a wrong path.
        if error.name is None or not module_name.startswith(error.name):
            raise UserError(f"{kind} {name!r} needs the package {error.name!r}, which is not installed") from error
        raise UserError(f"{kind} {name!r}: there is no module {module_name!r}") from error
    except AttributeError as error:
        raise UserError(f"{kind} {name!r}: module {module_name!r} has no {attribute!r}") from error
