"""What can go wrong in the monitor, as messages for a person.

Every message names the file or row, what is wrong with it and what to do about it; the command line
prints it and exits with 2.
"""


class LatentwatchError(Exception):
    """Base of all errors whose message is meant for the operator."""


class SettingsError(LatentwatchError):
    """The settings file, the environment or an option holds something unusable."""


class DatabaseError(LatentwatchError):
    """The database can't be opened or migrated."""


class NoDatabaseYetError(DatabaseError):
    """Nothing has been written to the database yet, or it is another than was meant."""


class SourceError(LatentwatchError):
    """A place where versions are published can't be listed."""


class GoneError(SourceError):
    """What was published at a place is there no more."""


class CheckpointRefusedError(LatentwatchError):
    """A directory is no checkpoint that can be checked safely; the message is the reason."""


class CheckpointChangedError(CheckpointRefusedError):
    """The files of a checkpoint are no longer those whose digest was taken."""


class NoTrustedVersionError(LatentwatchError):
    """A line has no trusted version, so nothing can be compared with it."""


class UnknownVersionError(LatentwatchError):
    """A line or version that was named is not in the database, or the name is ambiguous."""


class UnknownLineError(UnknownVersionError):
    """A line that was named is not in the database."""


class RefusedPushError(UnknownVersionError):
    """A push that was named never became a version: it can't be read as it lies there."""


class UnreadableVerdictError(LatentwatchError):
    """A verdict in the database is damaged, or of another release."""


class IllegalMoveError(LatentwatchError):
    """A trust state can't be changed in this way."""


class LeaseLostError(LatentwatchError):
    """Another process has taken over the diff; whoever gets this must write nothing more."""


class CancelledError(LatentwatchError):
    """Somebody asked for the diff to be cancelled; whoever runs it stops."""


class QuestionError(LatentwatchError):
    """A question about an alert can't be asked, or can't be answered."""


class BrokerError(LatentwatchError):
    """The broker that wakes workers is not set or can't be reached."""


class AlertingError(LatentwatchError):
    """Alerts can't be sent, or answers to them can't be taken."""
