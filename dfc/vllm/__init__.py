"""The engine on top of vLLM: many rows at once, each with edits of its own.

``engine`` is the seam. ``runtime`` starts vLLM, whose worker (``worker``) holds an ``Instrument``:
hooks that read and edit the residual stream as the plans of the requests (``plans``) say.
"""
