"""What the engine that the recipe names needs of this host. Free of torch."""

from collections.abc import Sequence

from dfc.errors import ModelError
from dfc.vllm.version import installed_version
from monitor.settings import Settings
from workers.errors import WorkplaceError
from workers.processes.isolation import without_network


def check_engine(settings: Settings) -> None:
    """Raises WorkplaceError, with the remedy, where the engine of `settings` can't run here."""
    if settings.recipe.engine == "transformers":
        return
    try:
        installed_version()
    except ModelError as error:
        raise WorkplaceError(f"recipe.engine: {error}") from error
    if settings.explainer.base_url is None:
        isolation_for(settings)


def isolation_for(settings: Settings) -> Sequence[str]:
    """What to put before the command of a process that compares and reaches no network.

    Raises WorkplaceError where vLLM would have to share the host's network: only Python's sockets
    in that one process could be refused there, and vLLM has processes of its own.
    """
    if settings.recipe.engine == "transformers":
        # Processes that train together find each other at the loopback interface.
        return without_network(loopback=settings.limits.training_processes > 1)
    prefix = without_network(loopback=True)
    if not prefix:
        raise WorkplaceError(
            "recipe.engine: vllm needs a network namespace of its own, which can't be made here; "
            "allow user namespaces (kernel.unprivileged_userns_clone, the container's seccomp "
            "profile) and install util-linux, or set recipe.engine to transformers"
        )
    return prefix
