"""What can go wrong while a diff is worked on; the messages are for the operator."""

import errno

from monitor.errors import LatentwatchError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StoreError(LatentwatchError):
    """Results can't be kept: the disk is full, or the store can't be read or written."""


class InputsError(LatentwatchError):
    """The corpus, the prompts, a suite or the policy of the recipe can't be used."""


class OtherRecipeError(LatentwatchError):
    """A diff was queued under another recipe than that by which this process compares."""


class ModelLoadError(LatentwatchError):
    """A checkpoint of the diff can't be loaded as a model that answers."""


class WorkplaceError(LatentwatchError):
    """This host lacks what the settings ask of a process that compares."""


class CalibrationError(LatentwatchError):
    """Measuring the same weights twice did not give the same scores."""


def no_room(error: BaseException) -> bool:
    """Whether `error`, or what caused it, is that no more can be written to a disk.

    Libraries without Python's exceptions put the number of the system's error into their text.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _NO_ROOM:
            return True
        if any(f"(os error {number})" in str(seen) for number in _NO_ROOM):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
