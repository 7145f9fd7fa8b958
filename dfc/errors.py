"""Errors of this package. Every message says what is wrong, where, and what to do about it."""


class DfcError(Exception):
    """Base of all errors that this package raises on purpose."""


class ModelError(DfcError):
    """A checkpoint cannot be loaded, or its structure is not supported."""


class InputError(DfcError):
    """Documents, rows or edits that the engine cannot work on."""


class ParityError(DfcError):
    """States taken by the engine differ from those of a plain forward pass of the same model."""


class SteeringError(DfcError):
    """A requested edit is impossible, touched no position, or did not arrive in the model."""


class CorpusError(DfcError):
    """A corpus file cannot be used as it is."""


class CacheError(DfcError):
    """Activations could not be written to the cache."""
