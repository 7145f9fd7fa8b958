"""LoRA adapters: merged as PEFT does, watched as versions, and refused where they are more."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import check_target_module_exists
from safetensors.torch import load_file, save_file
from sqlalchemy import select
from transformers import AutoTokenizer, LlamaForCausalLM

from monitor.checkpoints.adapter_targets import read_targets
from monitor.checkpoints.lora_merge import _floats, _stored
from monitor.database.schema import Observation, Version
from monitor.errors import SettingsError
from monitor.settings import load_settings
from monitor.sources.fetching import fetching, source_of
from monitor.sources.locate import find_files
from monitor.watching.line_watch import LineWatch
from tests.edits import edit_json
from tests.fakes.hub import fake_hub
from tests.monitor.conftest import Sessions
from tests.monitor.watching.watched import WatchedLine

NAME = "acme/base"


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    return tiny_checkpoint


@pytest.fixture
def adapt(base: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a random adapter of the base as the push of a name."""

    def write(name: str, seed: int = 0, path: Path | None = None, **config: Any) -> Path:
        torch.manual_seed(seed)
        chosen = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], **config}
        lora = LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **chosen)
        model = get_peft_model(LlamaForCausalLM.from_pretrained(path or base), lora)
        pushed = tmp_path / "chat" / name
        model.save_pretrained(pushed)
        edit_json(pushed / "adapter_config.json", base_model_name_or_path=NAME)
        return pushed

    return write


@pytest.fixture
def line(base: Path, tmp_path: Path, sessions: Sessions) -> WatchedLine:
    (tmp_path / "chat").mkdir(exist_ok=True)
    adapters = {"base": base, "names": [NAME]}
    settings = {"directory": tmp_path / "chat", "adapters": adapters, "trusted": "base"}
    return WatchedLine(tmp_path / "data", sessions, settings)


def merged_by_peft(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    model = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base), adapter)
    return dict(model.merge_and_unload().state_dict())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"use_rslora": True, "rank_pattern": {"q_proj": 2}},
        {"target_modules": ["q_proj", "v_proj"]},  # which lie beside each other in the file
        {
            "target_modules": ["q_proj", "v_proj", "gate_proj", "o_proj", "up_proj"],
            "exclude_modules": ["up_proj"],
            "layers_to_transform": [0, 2],
            "layers_pattern": "layers",
        },
    ],
)
def test_the_merged_weights_are_those_of_peft(
    line: WatchedLine,
    adapt: Callable[..., Path],
    base: Path,
    tmp_path: Path,
    dtype: torch.dtype,
    config: dict[str, Any],
) -> None:
    own = tmp_path / "own base"
    shutil.copytree(base, own)
    LlamaForCausalLM.from_pretrained(base, dtype=dtype).save_pretrained(own, max_shard_size="40KB")
    (own / "model.safetensors").unlink()
    adapter = adapt("tuned", path=own, **config)
    line.configure(adapters={"base": own, "names": [NAME]})
    with source_of(line.settings.lines[0], line.settings).open(f"lora:{adapter}") as path:
        model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32)
    expected, before = merged_by_peft(own, adapter), load(own)
    changed = 0
    for name, weight in model.state_dict().items():
        wanted = expected[name].float()
        step = {torch.float32: 2**-22, torch.float16: 2**-10, torch.bfloat16: 2**-7}[dtype]
        assert torch.allclose(weight, wanted, rtol=step, atol=step * float(wanted.abs().max()))
        changed += not torch.equal(weight, before[name].float())
    assert changed == 8


def test_adapters_are_taken_in_once_their_base_is_complete(
    line: WatchedLine, adapt: Callable[..., Path], base: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own base"
    shutil.copytree(base, own)
    late = (own / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    adapt("good-2")
    line.configure(adapters={"base": own, "names": [NAME]})
    watch = LineWatch(line.settings.lines[0], line.settings, line.around)
    watch.look()
    assert "tokenizer.json: is not there" in str(line.rows()["good-2"].reason)
    late.rename(own / "tokenizer.json")
    watch.look()
    assert line.states() == {"base": "new", "good-2": "new"}


def test_adapters_are_merged_again_once_their_changed_base_is_quiet(
    line: WatchedLine, adapt: Callable[..., Path], base: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own base"
    shutil.copytree(base, own)
    adapt("good-2")
    line.configure(adapters={"base": own, "names": [NAME]}, quiet_seconds=60.0)
    watch = LineWatch(line.settings.lines[0], line.settings, line.around)
    watch.look()
    assert line.states() == {"base": "new", "good-2": "new"}
    opened: list[str] = []
    merge = watch._source.open
    watch._source.open = lambda at: opened.append(at) or merge(at)  # type: ignore
    for step in (1, 2):  # a copy that goes on from look to look
        weights = load_file(own / "model.safetensors")
        name = next(iter(weights))
        save_file({**weights, name: weights[name] + step}, own / "model.safetensors")
        line.clock.now += 100.0
        os.utime(own / "model.safetensors", (line.clock.now, line.clock.now))
        watch.look()
    assert opened == []
    assert "the base of the adapters: still being written" in str(line.rows()["good-2"].reason)
    line.clock.now += 100.0
    watch.look()
    assert len(opened) == 2 and line.count(Version) == 4


def test_the_base_needs_no_marker(line: WatchedLine, adapt: Callable[..., Path]) -> None:
    line.configure(ready_marker="READY")
    (adapt("good-2") / "READY").touch()
    adapt("good-3")
    assert line.watch() == 3
    assert line.states() == {"base": "trusted", "good-2": "passed", "good-3": "undecided"}


def load(path: Path) -> dict[str, torch.Tensor]:
    return {k: v for file in path.glob("*.safetensors") for k, v in load_file(file).items()}


def test_adapters_are_versions_beside_their_base(
    line: WatchedLine, adapt: Callable[..., Path], base: Path, tmp_path: Path
) -> None:
    adapter = adapt("good-2", 1)
    assert line.watch() == 0
    assert line.states() == {"base": "trusted", "good-2": "passed"}
    counts = line.count(Observation)
    assert line.watch() == 0 and line.count(Observation) == counts
    version = line.version("good-2")
    assert version.locator == f"lora:{adapter}"
    elsewhere = line.settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    with fetching(elsewhere):
        path = find_files(line.sessions, version).path
        assert path.is_relative_to(tmp_path / "elsewhere")
    # A template beside the adapter is the one that will be used.
    (adapter / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    assert line.watch() == 0
    assert line.count(Version) == 3


def test_the_template_of_the_tokenizer_beside_an_adapter_goes_before_a_file_of_the_base(
    line: WatchedLine, adapt: Callable[..., Path], base: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own base"
    shutil.copytree(base, own)
    (own / "chat_template.jinja").write_text("{{ 'of the base' }}")
    adapter = adapt("tuned")
    shutil.copy(base / "tokenizer_config.json", adapter)
    line.configure(adapters={"base": own, "names": [NAME]})
    for template, expected in (("{{ 'of the adapter' }}", "of the adapter"), (None, "of the base")):
        edit_json(adapter / "tokenizer_config.json", chat_template=template)
        with source_of(line.settings.lines[0], line.settings).open(f"lora:{adapter}") as path:
            tokenizer = AutoTokenizer.from_pretrained(path)
            said = tokenizer.apply_chat_template([{"role": "user", "content": "?"}], tokenize=False)
            assert said == expected


def test_an_adapter_on_the_hub_is_merged_too(line: WatchedLine, adapt: Callable[..., Path]) -> None:
    with fake_hub() as hub:
        sha = hub.push(adapt("tuned", 2), 86_400.0)
        line.configure(directory=None, hub={"repo": hub.repo})
        known = load_settings(hub={"endpoint": hub.url}).hub
        line.settings = line.settings.model_copy(update={"hub": known})
        assert line.watch() == 0
        assert line.states()[f"main@{sha[:12]}"] == "passed"


MODULES = [
    *(f"model.layers.{layer}.self_attn.{part}" for layer in range(3) for part in ("q_proj", "k")),
    *(
        "model.layers.1.mlp.experts.2.up",
        "h.0.up",
        "up",
        "m.list.2.layers.1.up",
        "model.norm",
        "lm_head",
        "model.big_up",
    ),
]


@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": ["q_proj", "up"]},
        {"target_modules": ["q_proj", "up"], "exclude_modules": ["experts.2.up", "h.0.up"]},
        {"target_modules": ["q_proj", "up"], "layers_to_transform": 1},
        {"target_modules": ["k", "up", "model.norm"], "layers_to_transform": [0, 2]},
        {"target_modules": ["up"], "layers_to_transform": [0], "layers_pattern": "h"},
        {"target_modules": ["k", "up"], "layers_to_transform": [1], "layers_pattern": ["layers"]},
        {"target_modules": ["self_attn.k"], "layers_to_transform": [], "layers_pattern": []},
    ],
)
def test_targets_are_those_of_peft(config: dict[str, Any]) -> None:
    meant = LoraConfig(**config)
    targets = read_targets(config)
    assert [targets.cover(name) for name in MODULES] == [
        bool(check_target_module_exists(meant, name)) for name in MODULES
    ]


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "another base": ({"base_model_name_or_path": "evil/base"}, "is not the base of this line"),
    "no base": ({"base_model_name_or_path": None}, "is not the base of this line"),
    "another kind": ({"peft_type": "IA3"}, "is not LORA"),
    "code": ({"auto_mapping": {"parent_library": "evil"}}, "'auto_mapping'"),
    "unknown": ({"new_arithmetic": 1}, "'new_arithmetic'"),
    "dora": ({"use_dora": True}, "'use_dora'"),
    "bias": ({"bias": "all"}, "'bias'"),
    "whole modules": ({"modules_to_save": ["lm_head"]}, "'modules_to_save'"),
    "pissa": ({"init_lora_weights": "pissa"}, "'init_lora_weights'"),
    "pattern": ({"alpha_pattern": {"(a+)+": 3}}, "'alpha_pattern'"),
    "other modules": ({"target_modules": ["q_proj"]}, "none of the modules that"),
    "left out": ({"exclude_modules": ["q_proj"]}, "none of the modules that"),
    "another layer": ({"layers_to_transform": [1, 7]}, "none of the modules that"),
    "another list": ({"layers_pattern": ["h"], "layers_to_transform": 0}, "none of the modules"),
    "made up": ({"target_modules": ["q_proj", "down_proj", "v_proj"]}, "lacks 'model.layers.0."),
    "all linear": ({"target_modules": "all-linear"}, "target_modules is no list of names"),
    "no modules": ({"target_modules": None}, "target_modules is empty"),
    "slow pattern": ({"exclude_modules": ["(a+)+$"]}, "exclude_modules is no list of names"),
    "layers": ({"layers_to_transform": "0"}, "layers_to_transform is no list of numbers"),
    "rank": ({"r": 3}, "has the rank 4"),
    "no rank": ({"r": "4"}, "r '4' is not between"),
    "alpha": ({"lora_alpha": 1e300}, "lora_alpha 1e+300"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_more_than_a_plain_adapter_of_this_base_is_refused(
    line: WatchedLine, adapt: Callable[..., Path], name: str
) -> None:
    changes, reason = HOSTILE[name]
    edit_json(adapt("odd-2") / "adapter_config.json", **changes)
    assert line.watch() == 3
    assert reason in str(line.rows()["odd-2"].reason)


def test_tensors_that_do_not_fit_are_refused(
    line: WatchedLine, adapt: Callable[..., Path], tmp_path: Path
) -> None:
    weights = adapt("odd-2") / "adapter_model.safetensors"
    tensors = load_file(weights)
    first = next(iter(tensors))
    for changed, reason in (
        ({**tensors, "base_model.model.lm_head.weight": torch.zeros(2, 2)}, "no part of a plain"),
        ({k: v for k, v in tensors.items() if k != first}, "has no A or no B"),
        ({k.replace("layers.0", "layers.9"): v for k, v in tensors.items()}, "no such tensor"),
        ({k: v[:, :-1] if "lora_A" in k else v for k, v in tensors.items()}, "has the shape"),
        ({k: v.to(torch.float64) for k, v in tensors.items()}, "F64 can't be merged"),
    ):
        save_file({k: v.contiguous() for k, v in changed.items()}, weights)
        line.clock.now += 100.0
        assert line.watch() == 3
        assert reason in str(line.rows()["odd-2"].reason)


def test_without_a_base_in_the_settings_adapters_are_refused(
    line: WatchedLine, adapt: Callable[..., Path], base: Path, tmp_path: Path
) -> None:
    shutil.copytree(base, tmp_path / "chat" / "v1")
    adapt("odd-2")
    line.configure(adapters=None, trusted="v1")
    assert line.watch() == 3
    assert "set adapters.base of the line, or merge it" in str(line.rows()["odd-2"].reason)


def test_a_model_with_an_adapter_beside_it_is_refused(
    line: WatchedLine, adapt: Callable[..., Path], base: Path
) -> None:
    shutil.copytree(base, adapt("odd-2"), dirs_exist_ok=True)
    assert line.watch() == 3
    assert "a model is beside it" in str(line.rows()["odd-2"].reason)


def test_a_push_with_the_name_of_the_base_is_refused_and_the_base_stays_the_base(
    line: WatchedLine, adapt: Callable[..., Path]
) -> None:
    adapt("base", 1)
    adapt("good-2", 2)
    assert line.watch() == 3
    with line.sessions() as session:
        found = session.execute(select(Version.name, Version.state).order_by(Version.id)).all()
        refused = session.scalars(select(Observation).filter_by(version_id=None)).one()
    assert [tuple(row) for row in found] == [("base", "trusted"), ("good-2", "passed")]
    assert "'base' is the name of the base of this line's adapters" in str(refused.reason)


def test_a_base_that_is_gone_or_broken_is_named(
    line: WatchedLine, adapt: Callable[..., Path], tmp_path: Path
) -> None:
    line.configure(adapters={"base": tmp_path / "ghost", "names": []})
    assert line.watch() == 3
    assert "correct `adapters.base`" in line.said[-1]
    with pytest.raises(SettingsError, match=r"lines\.0\.adapters\.base: an empty path"):
        load_settings(lines=[{"name": "a", "directory": "d", "adapters": {"base": ""}}])


def test_bfloat16_is_rounded_as_torch_does() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 50_000, dtype=np.uint32)
    values = np.concatenate([bits, [0x7F800000, 0xFF800000, 0x00008000, 0x00018000]]).astype("<u4")
    floats = values.view("<f4")
    expected = torch.from_numpy(floats.copy()).to(torch.bfloat16)
    found = _floats(_stored(floats, "BF16"), "BF16")
    assert np.array_equal(found, expected.float().numpy(), equal_nan=True)
