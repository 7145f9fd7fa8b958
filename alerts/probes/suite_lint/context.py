"""Whether a model can read every item whole."""

from collections.abc import Iterator

from alerts.probes.suite import Item, Suite, Variant
from alerts.probes.suite_lint.finding import Finding
from alerts.probes.suite_lint.tokens import ChatTokenizer


def too_long(suite: Suite, tokenizer: ChatTokenizer, context: int) -> Iterator[Finding]:
    """Items that with their longest completion are more than the `context` tokens that the model
    sees. Raises what `tokenizer` raises for a chat that it refuses."""
    sizes = {item.id: _longest(item, tokenizer) for item in suite.items}
    longer = tuple(id for id, size in sizes.items() if size > context)
    if longer:
        yield Finding(
            code="too-long",
            field="items.*.variants",
            items=longer,
            said=f"{len(longer)} items need up to {max(sizes.values())} tokens with their "
            f"completion, and the model sees {context}: with them the suite can't be measured",
            remedy="shorten them, or take them out",
        )


def _longest(item: Item, tokenizer: ChatTokenizer) -> int:
    variants = [*item.variants, *([item.knows] if item.knows else [])]
    return max(_tokens(variant, tokenizer) for variant in variants)


def _tokens(variant: Variant, tokenizer: ChatTokenizer) -> int:
    messages = [message.model_dump() for message in variant.messages]
    chat = tokenizer.render_chat(messages, add_generation_prompt=True)
    prompt = len(tokenizer.encode_text(chat))
    prompt += len(tokenizer.encode_text(variant.opening)) if variant.opening else 0
    completions = [*variant.matching, *variant.not_matching]
    return prompt + max(len(tokenizer.encode_text(text)) for text in completions)
