"""Descriptions of features: what they write, where they fire."""

import torch

from dfc.engines.engine import Activations
from dfc.engines.transformers_engine import TransformersEngine
from dfc.screening.describe import example, logit_lens, text_pieces, top_windows


def test_logit_lens_names_the_token_and_not_the_one_with_the_longest_row(
    engine: TransformersEngine,
) -> None:
    model = engine._stack.model
    rows_VD = model.lm_head.weight
    token, loud = engine.encode_text("c")[0], engine.encode_text("o")[0]
    kept_D = rows_VD[loud].clone()
    try:
        rows_VD[loud] = 50 * (rows_VD[loud] + 0.2 * rows_VD[token])
        direction_D = rows_VD[token].clone()
        assert int((rows_VD @ direction_D).argmax()) == loud
        assert logit_lens(engine, direction_D[None], 1) == [["c"]]
    finally:
        rows_VD[loud] = kept_D


def test_logit_lens_reads_through_the_weight_of_the_final_norm(engine: TransformersEngine) -> None:
    model = engine._stack.model
    norm_D, rows_VD = model.model.norm.weight, model.lm_head.weight
    first, second = engine.encode_text("c")[0], engine.encode_text("o")[0]
    half = len(norm_D) // 2
    direction_D = torch.cat([3 * rows_VD[first][:half], rows_VD[second][half:]])
    assert logit_lens(engine, direction_D[None], 1) == [["c"]]
    try:
        norm_D[:half] = 0.0
        assert logit_lens(engine, direction_D[None], 1) == [["o"]]
    finally:
        norm_D[:] = 1.0


def read(engine: TransformersEngine, texts: list[str]) -> tuple[Activations, list[tuple[int, ...]]]:
    documents = [engine.encode_text(text) for text in texts]
    return engine.harvest(documents, 1), documents


def test_windows_are_the_strongest_documents_with_context(engine: TransformersEngine) -> None:
    acts, documents = read(
        engine, ["I agree with you. " * 8, "Paris is the capital.", "Water boils hot."]
    )
    f_T = torch.zeros(len(acts.x_TD))
    first, second = (acts.document_T == 0).nonzero()[[40, 20], 0].tolist()
    third = int((acts.document_T == 2).nonzero()[3, 0])
    f_T[first], f_T[second], f_T[third] = 2.0, 1.5, 3.0
    found = top_windows(f_T, acts, documents, 5)
    assert [window.lines[window.peak] for window in found] == [third, first]
    assert len(found[1].tokens) == 33


def test_an_example_shows_what_both_models_read(engine: TransformersEngine) -> None:
    acts, documents = read(engine, ["You are right.", "Water boils hot."])
    f_T = torch.arange(len(acts.x_TD)).float()
    (window,) = top_windows(f_T, acts, documents, 1)
    shown = example(window, f_T, f_T / 2, engine.decode)
    assert "".join(shown.pieces) == engine.decode(acts.token_T[acts.document_T == 1].tolist())
    assert shown.other is not None
    assert (
        [2 * other for other in shown.other]
        == shown.activations
        == f_T[-len(shown.pieces) :].tolist()
    )
    assert example(window, f_T, None, engine.decode).other is None


def test_text_that_no_line_stands_for_is_part_of_the_next_piece(
    engine: TransformersEngine,
) -> None:
    acts, documents = read(engine, ["You are right. Water boils hot."])
    every_other = Activations(*(part[::2] for part in acts))
    f_T = torch.arange(len(every_other.x_TD)).float()
    (window,) = top_windows(f_T, every_other, documents, 1)
    shown = example(window, f_T, None, engine.decode)
    assert len(shown.pieces) == len(shown.activations) == len(window.lines) < len(window.tokens)
    last = every_other.position_T[-1] + 1
    assert "".join(shown.pieces) == engine.decode(documents[0][1:last])


def test_equal_contexts_are_shown_once(engine: TransformersEngine) -> None:
    acts, documents = read(engine, ["You are right."] * 3 + ["I see it differently."])
    f_T = torch.arange(len(acts.x_TD), 0, -1).float()
    shown = [
        int(acts.document_T[window.lines[0]]) for window in top_windows(f_T, acts, documents, 4)
    ]
    assert shown == [0, 3]
    assert len(top_windows(f_T, acts, documents, 1)) == 1


def test_a_silent_feature_has_no_windows(engine: TransformersEngine) -> None:
    acts, documents = read(engine, ["You are right."])
    assert top_windows(torch.zeros(len(acts.x_TD)), acts, documents, 3) == []


def test_pieces_of_split_characters_join_to_the_text(engine: TransformersEngine) -> None:
    text = "é漢 ok 🙂!"
    tokens = engine.encode_text(text)
    pieces = text_pieces(tokens, engine.decode)
    assert len(pieces) == len(tokens) > len(text)
    assert "".join(pieces) == text
    assert "".join(text_pieces(tokens[:-2], engine.decode)).startswith("é漢 ok ")
