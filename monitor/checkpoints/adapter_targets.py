"""Which modules of its base an adapter's configuration says that it changes.

Loaders build the adapter on these modules and pass over tensors of any others, so an adapter that
holds more or less than it says would not be what was checked.
"""

import re
from typing import Any, NamedTuple

from monitor.errors import CheckpointRefusedError


class Targets(NamedTuple):
    """Modules, by the rules of peft for names (`peft.tuners.tuners_utils`)."""

    modules: tuple[str, ...]
    """Whole names, or their ends from a dot on."""
    excluded: tuple[str, ...]
    layers: tuple[int, ...]
    """The only layers whose modules are meant; empty for all. A whole name is meant anyway."""
    lists: tuple[str, ...]
    """Names of the lists that `layers` counts in; empty for any."""

    def cover(self, module: str) -> bool:
        """Whether the module of this name is meant."""
        if _named(module, self.excluded):
            return False
        if module in self.modules or not self.layers:
            return _named(module, self.modules)
        return self._layer(module) in self.layers and _named(module, self.modules)

    def _layer(self, module: str) -> int | None:
        # Without a list the first number counts, unless it is the second part of the name.
        begins = [rf"(?:^|.*?\.){re.escape(name)}" for name in self.lists] or [r".*?\.[^.]*"]
        matches = (re.match(rf"{begin}\.(\d+)\.", module) for begin in begins)
        return next((int(match[1]) for match in matches if match), None)


def read_targets(config: dict[str, Any]) -> Targets:
    """The targets that the file `adapter_config.json` with this content names.

    Raises CheckpointRefusedError with the key: a pattern decides by rules that differ between
    loaders, and may take for ever.
    """
    targets = Targets(
        _names(config, "target_modules"),
        _names(config, "exclude_modules"),
        _layers(config.get("layers_to_transform")),
        _names(config, "layers_pattern"),
    )
    if not targets.modules:
        raise _refusal("target_modules", "is empty")
    return targets


def _named(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.endswith(f".{name}") for name in names)


def _names(config: dict[str, Any], key: str) -> tuple[str, ...]:
    value = config.get(key)
    # One name alone is read as a pattern by peft where it stands for modules, and not for layers.
    listed = [value] if key == "layers_pattern" and isinstance(value, str) and value else value
    if not listed:
        return ()
    if not isinstance(listed, list) or not all(
        isinstance(name, str) and re.fullmatch(r"[\w.]+", name) for name in listed
    ):
        raise _refusal(key, "is no list of names")
    return tuple(listed)


def _layers(value: Any) -> tuple[int, ...]:
    layers = [value] if type(value) is int else value
    if not layers:
        return ()
    if not isinstance(layers, list) or not all(type(layer) is int for layer in layers):
        raise _refusal("layers_to_transform", "is no list of numbers")
    return tuple(layers)


def _refusal(key: str, what: str) -> CheckpointRefusedError:
    return CheckpointRefusedError(
        f"adapter_config.json: {key} {what}; write the names of the modules, or merge the adapter "
        "into the model and publish that"
    )
