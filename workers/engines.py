"""What the engine that the recipe names needs of this host. Free of torch."""

from collections.abc import Sequence

from dfc.errors import ModelError
from dfc.vllm.version import installed_version
from monitor.settings import Settings
from workers.errors import WorkplaceError
from workers.processes.isolation import without_network


def check_engine(settings: Settings) -> None:
    """Raises WorkplaceError, with the remedy, where the engine of `settings`, or a training in
    several processes, can't run here."""
    together = settings.limits.training_processes > 1
    if together and settings.explainer.base_url is not None:
        raise WorkplaceError(
            "limits.training_processes: processes that train together listen on ports, and a "
            "comparison that asks an explainer shares this host's network; set it to 1, or "
            "explainer.base_url to none"
        )
    if together:
        isolation_for(settings)
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

    Raises WorkplaceError where processes of its own, of vLLM or those that train together, would
    have to share the host's network: only Python's sockets in one process could be refused there.
    """
    if settings.recipe.engine == "vllm":
        what, remedy = "recipe.engine: vllm needs", "set recipe.engine to transformers"
    elif settings.limits.training_processes > 1:
        what = "limits.training_processes: processes that train together need"
        remedy = "set it to 1"
    else:
        return without_network()
    prefix = without_network(loopback=True)
    if not prefix:
        raise WorkplaceError(
            f"{what} a network namespace of its own, which can't be made here; "
            "allow user namespaces (kernel.unprivileged_userns_clone, the container's seccomp "
            f"profile) and install util-linux, or {remedy}"
        )
    return prefix
