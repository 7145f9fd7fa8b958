"""The method: corpus, engines, alignment, the crosscoder, screening and steering edits."""
