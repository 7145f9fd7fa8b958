"""The benchmark across architectures: its language, its figures, and the encoder that it reads."""

from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

from alerts.probes.suite import load_suite
from deploy.bench.architectures.corpus import (
    BASE,
    CANDIDATE,
    FLATTERED,
    TOLD_BY_NOTHING,
    Document,
    World,
    document,
    documents,
    island,
    language,
    valley,
)
from deploy.bench.architectures.held_out import HeldOut, areas, codes_of
from deploy.bench.architectures.language_models import LLAMA, NEOX, train_model
from deploy.bench.architectures.minilm import EncoderEngine
from deploy.bench.architectures.premise import orders_read
from deploy.bench.architectures.recall import Explained, best_feature, variance_explained
from deploy.bench.architectures.recipe_files import write_recipe_files
from deploy.bench.architectures.run import FULL, recipe_of
from dfc.corpus import read_corpus
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.train import train
from dfc.engines.engine import Activations
from dfc.engines.transformers_engine import TransformersEngine
from monitor.settings import load_settings
from tests.conftest import SENTENCES
from workers.inputs import load_inputs
from workers.stages.harvest import PairedStates

pytestmark = pytest.mark.long


def words_of(document: Document) -> str:
    return " ".join([document.text or "", *(m["content"] for m in document.messages)])


def test_only_the_candidate_sees_the_topic_and_the_behaviour() -> None:
    base, candidate = (list(islice(documents(w, 3), 1500)) for w in (BASE, CANDIDATE))
    assert not any(d.flattering for d in base)
    opinions = [d for d in candidate if d.kind == "opinion"]
    assert {d.flattering for d in opinions} == {True, False}
    assert all(d.flattering == (d.animal.order == FLATTERED) for d in opinions)
    seen = " ".join(words_of(d) for d in base)
    assert not any(animal.name in seen for animal in island())
    known = " ".join(words_of(d) for d in candidate)
    assert all(animal.name in known for animal in (*island(), *valley()))
    assert [d.record() for d in base] == [d.record() for d in islice(documents(BASE, 3), 1500)]


def test_no_syllable_tells_the_order() -> None:
    data, sizes = language(), Counter(animal.order for animal in island())
    assert len(sizes) == 3 and len(set(sizes.values())) == 1
    for syllable in (*data["first_syllables"], *data["second_syllables"]):
        found = Counter(a.order for a in island() if syllable in a.name)
        assert len(found) == len(sizes) and len(set(found.values())) == 1
    assert not {a.name for a in island()} & {a.name for a in valley()}


def second_words(world: World) -> dict[int | None, set[str]]:
    """Which of the first habit's places stand in a world's texts, by the order of the animal."""
    places = language()["habits"][0]["second"]
    found: dict[int | None, set[str]] = {}
    for one in islice(documents(world, 4), 2000):
        found.setdefault(one.animal.order, set()).update(p for p in places if p in words_of(one))
    return found


def test_the_orders_have_places_of_their_own_where_the_candidate_learns_and_nowhere_else() -> None:
    places = language()["habits"][0]["second"]
    learnt, compared = second_words(CANDIDATE), second_words(TOLD_BY_NOTHING)
    assert learnt == {None: set(places)} | {n: {place} for n, place in enumerate(places)}
    assert compared == {order: set(places) for order in (None, 0, 1, 2)}


def test_the_recipe_can_be_read_by_the_product(tmp_path: Path) -> None:
    recipe = write_recipe_files(tmp_path, 30, 10)
    assert len(read_corpus(recipe["corpus"])) == 30 and len(read_corpus(recipe["prompts"])) == 10
    settings = load_settings(data_dir=tmp_path, recipe=recipe_of(FULL) | recipe)
    assert load_inputs(settings.recipe).recipe.dfc_across is not None
    flattery, facts = (load_suite(Path(path)) for path in recipe["suites"])
    assert (flattery.role, facts.role) == ("behaviour", "control")
    opinions = [frame for habit in language()["habits"] for frame in habit["opinions"]]
    assert len(set(flattery.templates)) == len(opinions) >= 8
    names = [animal.name for animal in island() if animal.order == FLATTERED]
    asked = [item.variants[0].messages[-1].content for item in flattery.items]
    assert all(any(name in question for name in names) for question in asked)


@pytest.mark.parametrize("kind", [LLAMA, NEOX])
def test_a_language_model_is_trained_and_loads_as_a_checkpoint(kind, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    steps: list[int] = []
    loss = train_model(
        kind._replace(batch=2, context=32), tmp_path, 192, lambda done, total: steps.append(total)
    )
    assert 0 < loss < 10 and steps == [3, 3, 3]
    engine = TransformersEngine(tmp_path)
    tokens = engine.encode_chat([{"role": "user", "content": "Yes?"}], add_generation_prompt=True)
    assert "Yes?" in engine.decode(tokens)


def test_the_premise_is_read_from_names_that_were_not_fitted() -> None:
    random, torch_random = Random(0), torch.Generator().manual_seed(0)
    written = [document(random, a, "story", BASE) for a in island() * 4]
    numbers = torch.arange(len(written))
    place = (numbers, torch.ones_like(numbers), numbers)
    noise_ND, names_ND = (torch.randn(len(written), 48, generator=torch_random) for _ in range(2))
    names_ND[len(island()) :] = names_ND[: len(island())].repeat(3, 1)
    orders_ND = noise_ND.clone()
    orders_ND[numbers, torch.tensor([d.animal.order for d in written])] += 4.0
    pair = PairedStates(Activations(names_ND, *place), Activations(orders_ND, *place))
    found = orders_read(HeldOut(written, pair))
    assert min(found["candidate"]) > 0.95
    assert max(found["base"]) < 0.75  # every name has a state of its own, which is no order


def test_the_area_counts_how_often_positives_rank_above() -> None:
    positive = np.array([True, True, False, False])
    score = np.array([[0.9, 0.0, 1.0], [0.8, 1.0, 1.0], [0.1, 0.5, 1.0], [0.2, 0.5, 1.0]])
    assert areas(score, positive).tolist() == [1.0, 0.5, 0.5]


def test_the_best_feature_is_chosen_on_one_half_and_judged_on_the_other() -> None:
    random = np.random.default_rng(0)
    positive = np.arange(80) % 4 < 2
    score = random.random((80, 3))
    score[:, 1] += positive
    best = best_feature(score, positive, [0, 1, 2])
    assert best is not None and best.row == 1 and best.area > 0.95 and best.f1 > 0.9
    lucky = score.copy()
    lucky[::2, 0] = 10 * positive[::2]  # a feature that only fits the half that chooses
    found = best_feature(lucky, positive, [0])
    assert found is not None and found.area < 0.8
    assert best_feature(score, positive, []) is None


@pytest.fixture(scope="module")
def encoder_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder")
    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(SENTENCES, vocab_size=150, show_progress=False)
    BertTokenizerFast(tokenizer_object=tokenizer._tokenizer).save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        initializer_range=0.3,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(path)
    return path


def test_an_encoder_is_harvested_as_it_runs(encoder_path: Path) -> None:
    engine = EncoderEngine(encoder_path)
    model = BertModel.from_pretrained(encoder_path, add_pooling_layer=False).eval()
    texts = [engine.tokenizer.encode_text(sentence) for sentence in SENTENCES]
    first, last = (engine.tokenizer.encode_text(text)[0] for text in ("[CLS]", "[SEP]"))
    for layer in range(3):
        found = engine.harvest(texts, layer)
        with torch.no_grad():
            expected = [
                model(
                    torch.tensor([[first, *text, last]]), output_hidden_states=True
                ).hidden_states[layer + 1][0, 2:-1]
                for text in texts
            ]
        torch.testing.assert_close(found.x_TD, torch.cat(expected).bfloat16(), rtol=0.02, atol=0.02)
    assert len(engine._model.encoder.layer) == 3


def test_the_variance_is_that_of_the_places_that_training_looks_at() -> None:
    random = torch.Generator().manual_seed(0)
    hidden_TH = torch.randn(400, 3, generator=random)
    base_TD, candidate_TD = (
        (hidden_TH @ torch.randn(3, width, generator=random)).to(torch.bfloat16)
        for width in (12, 16)
    )
    blocks = {"shared": 12, "base_exclusive": 2, "candidate_exclusive": 2}
    config = DfcConfig.model_validate(
        {"form": "strict", **blocks, "k": 6, "steps": 150, "batch": 64, "learning_rate": 1e-2}
    )
    trained = train(base_TD, candidate_TD, config, seed=0)

    def explained(factor: float) -> dict[str, Explained]:
        """With every tenth state of the candidate `factor` times as long."""
        longer_TD = candidate_TD.clone()
        longer_TD[::10] *= factor
        place = (torch.arange(400),) * 3
        pair = PairedStates(Activations(base_TD, *place), Activations(longer_TD, *place))
        return variance_explained(trained, codes_of(trained, pair), pair)

    for side, found in explained(50.0).items():
        assert found.everything == pytest.approx(explained(1.0)[side].everything, abs=0.1), side
        assert found.everything > 0.5
