"""Where settings come from, which wins, and errors that name the place and the key."""

import pickle
from pathlib import Path

import pytest

from monitor.commands.options import settings_of
from monitor.database.opening import open_database
from monitor.errors import DatabaseError, SettingsError
from monitor.settings import Settings, load_settings
from tests.monitor.settings.written import LINE, write


def test_everything_has_a_default() -> None:
    settings = load_settings()
    assert settings.lines == [] and settings.recipe.layer == "auto"
    assert settings.database_url.get_secret_value() == "sqlite:///.latentwatch/latentwatch.db"


def test_options_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, 'data_dir = "f"\ncache_bytes = 1\n[recipe]\ntokens = 4001\nlayer = 3\n')
    monkeypatch.setenv("LATENTWATCH_CACHE_BYTES", "2")
    monkeypatch.setenv("LATENTWATCH_RECIPE__TOKENS", "4002")
    settings = load_settings(file, data_dir=Path("o"), store_dir=None)
    assert settings.data_dir == Path("o") and settings.store_dir == Path("o/store")
    assert settings.cache_bytes == 2
    assert (settings.recipe.tokens, settings.recipe.layer) == (4002, 3)


def test_paths_in_the_file_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = load_settings(
        write(
            tmp_path,
            """
            data_dir = "data"
            [recipe]
            corpus = "corpus.jsonl"
            suites = ["sycophancy", "suites/ours.json"]
            [[lines]]
            name = "chat"
            directory = "pushes"
            [[lines]]
            name = "base"
            directory = "/absolute"
            """,
        )
    )
    assert settings.data_dir == tmp_path / "data"
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/data/latentwatch.db"
    assert settings.recipe.corpus == tmp_path / "corpus.jsonl"
    assert settings.recipe.suites == ["sycophancy", f"{tmp_path}/suites/ours.json"]
    assert [line.directory for line in settings.lines] == [tmp_path / "pushes", Path("/absolute")]
    assert settings.line("base") == settings.lines[1] and settings.line("ghost") is None


def test_settings_can_be_sent_to_another_process(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "cache_bytes = 7"))
    assert type(settings) is Settings
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize(
    "text, message",
    [
        ("ratio = 1", r"latentwatch\.toml: ratio: Extra inputs.*correct its spelling"),
        ("[recipe]\ntoken = 1", r"latentwatch\.toml: recipe\.token: Extra"),
        (LINE.format("a") + "quiet = 1", r"lines\.0\.quiet: Extra"),
        ("[recipe.dfc]\nlatents = 1", r"recipe\.dfc\.latents: Extra"),
        ("[recipe.dfc]\nk = -1", r"recipe\.dfc\.k: .*it is -1"),
        ("[recipe.policy]\nalpha = 2", r"recipe\.policy\.alpha: .*less than 1"),
        ("[recipe.policy]\nminimum_effect = 1", r"recipe\.policy\.minimum_effect: Extra"),
        ("[recipe.screen]\nexclusivity = 2", r"recipe\.screen\.exclusivity: .*it is 2"),
        ("[recipe]\nseeds = [1, 1]", r"recipe\.seeds: every seed may be named once only"),
        ("[recipe]\nsuites = []", r"recipe\.suites"),
        ("[recipe]\nlayer = -1", r"recipe\.layer"),
        ("lines = 3", r"lines: .*it is 3"),
        ("data_dir = 3", r"\Alatentwatch\.toml: data_dir: [^\n]*\Z"),
        ('data_dir = "a?b"', r"latentwatch\.toml: data_dir: must not contain"),
        (
            LINE.format("a") + LINE.format("a"),
            "two lines have the same name 'a'; rename or remove one",
        ),
        (LINE.format("../a"), "plain name"),
        (LINE.format("comparisons"), "is kept for `latentwatch check`"),
        ("data_dir = ", "is not valid TOML.*; correct it there"),
        ('data_dir = ""', r"latentwatch\.toml: data_dir: an empty path"),
        ('store_dir = ""', r"latentwatch\.toml: store_dir: an empty path"),
        ('[[lines]]\nname = "a"\ndirectory = ""', r"lines\.0\.directory: an empty path"),
        ('[recipe]\ncorpus = ""', r"recipe\.corpus: an empty path"),
    ],
)
def test_a_mistake_in_the_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    write(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=message):
        load_settings(Path("latentwatch.toml"))


@pytest.mark.parametrize(
    "variable, value, message",
    [
        ("LATENTWATCH_DATADIR", "x", "LATENTWATCH_DATADIR: there is no such setting"),
        ("LATENTWATCH_RECIPE__TOKENS", "many", "variable LATENTWATCH_RECIPE__TOKENS: recipe.tok"),
        ("latentwatch_recipe__tokens", "many", "variable latentwatch_recipe__tokens: recipe.tok"),
        ("LATENTWATCH_RECIPE", '{"tokens": "many"}', "variable LATENTWATCH_RECIPE: recipe.tokens"),
        (
            "LATENTWATCH_LINES",
            '[{"name": "a"}]',
            r"LATENTWATCH_LINES: lines\.0: line a: names none as its source; name exactly one of",
        ),
        ("LATENTWATCH_LINES", "[", "LATENTWATCH_LINES.*as JSON, such as"),
        ("LATENTWATCH_RECIPE__SEEDS", "0,1", "LATENTWATCH_RECIPE.*as JSON, such as"),
        ("LATENTWATCH_RECIPE__SEEDS", "[" * 100_000, "nested too deeply; .*as JSON, such as"),
        ("LATENTWATCH_DATA_DIR", "", "variable LATENTWATCH_DATA_DIR: data_dir: an empty path"),
    ],
)
def test_a_mistake_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=message):
        load_settings()


@pytest.mark.parametrize(
    ("file", "variables", "message"),
    [
        ("[recipe]\ntokens = 0", {"RECIPE__LAYER": "3"}, r"\A[^ ]*\.toml: recipe\.tokens: "),
        ("[recipe]\ntoken = 1", {"RECIPE": '{"layer": 3}'}, r"\A[^ ]*\.toml: recipe\.token: "),
        (
            "[recipe]\ntokens = 1",
            {"RECIPE__TOKENS": "0"},
            r"\Aenvironment variable LATENTWATCH_RECIPE__TOKENS: recipe\.tokens: ",
        ),
        (
            '[explainer]\nmodel = "m"\nbase_url = "http://a/v1"',
            {"EXPLAINER__BASE_URL": "http://user:word@a/v1"},
            r"\.toml and environment variable LATENTWATCH_EXPLAINER__BASE_URL: explainer: base_url",
        ),
    ],
)
def test_a_mistake_is_looked_for_where_its_value_comes_from(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    variables: dict[str, str],
    message: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"LATENTWATCH_{name}", value)
    with pytest.raises(SettingsError, match=message):
        load_settings(write(tmp_path, file))


def test_mistakes_in_options_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="option: colour: Extra"):
        load_settings(colour="red")
    with pytest.raises(SettingsError, match=r"ghost\.toml: can't be read"):
        load_settings(tmp_path / "ghost.toml")


def test_a_broker_that_is_no_redis_is_refused_without_repeating_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LATENTWATCH_BROKER__URL", "amqp://watch:hunter2@rabbit")
    with pytest.raises(SettingsError, match=r"LATENTWATCH_BROKER__URL: broker\.url") as caught:
        load_settings(None)
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("LATENTWATCH_BROKER__URL", "redis://:hunter2@redis")
    monkeypatch.setenv("LATENTWATCH_DATABASE_URL", "postgresql://watch:hunter2@db/watch")
    assert "hunter2" not in repr(load_settings(None))


@pytest.mark.parametrize(
    "table",
    [
        '[[lines]]\nname = "a"\ndirectory = "d"\n[[lines]]\nname = "a"\ndirectory = "d"',
        '[[lines]]\nname = "a"\nobjects = { url = "s3://b/c", options = { client_kwargs = '
        '{ aws_secret_access_key = "geheim" } } }',
        '[store]\nurl = "s3://b/c"\noptions = { secret = "geheim" }',
        '[[lines]]\nname = "a"\nobjects = { url = "s3://me:geheim@bucket/y" }',
        '[hub]\nendpoint = "https://me:geheim@hub.example"',
        '[webhooks]\nread_token = "geheim"',
    ],
)
def test_an_error_repeats_no_secret_wherever_it_lies(tmp_path: Path, table: str) -> None:
    file = write(tmp_path, f'database_url = "postgresql://me:geheim@db/watch"\n{table}\n')
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "table, key",
    [
        ("poll_seconds = inf", "poll_seconds"),
        ("[broker]\nreconcile_seconds = inf", r"broker\.reconcile_seconds"),
        ("[broker]\ndeadline_seconds = 1e300", r"broker\.deadline_seconds"),
        ("[recipe]\ntokens = 2000", r"recipe: tokens is 2000, fewer than one batch \(2048\)"),
        (
            "[limits]\ntraining_processes = 3",
            r"limits\.training_processes: 3 processes can't take equal parts of a batch of 2048",
        ),
        ('[[lines]]\nname = "a"\ndirectory = "d"\ninclude = ""', r"line a: lines\.0\.include"),
        (
            '[[lines]]\nname = "a"\nhub = {repo = "a/b"}\ninclude = "v*"',
            "line a: include is for a directory or an object store.*hub.refs",
        ),
        (
            '[[lines]]\nname = "a"\nmlflow = {model = "m"}\ninclude = "v*"',
            "line a: include is for a directory or an object store, and mlflow has none",
        ),
    ],
)
def test_a_value_that_can_only_be_a_slip_is_refused(tmp_path: Path, table: str, key: str) -> None:
    with pytest.raises(SettingsError, match=key):
        load_settings(write(tmp_path, f"{table}\n"))


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "latentwatch.toml"
    file.write_text("poll_seconds = 7\n", encoding="utf-8-sig")
    assert load_settings(file).poll_seconds == 7


@pytest.mark.parametrize(
    "content, said",
    [
        (b'data_dir = "\xff"', "is not UTF-8: .*save it as UTF-8"),
        (b"a = " + b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_file_that_can_not_be_taken_apart_is_named(
    tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "latentwatch.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"latentwatch.toml: {said}"):
        load_settings(file)


def test_a_variable_that_names_no_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTWATCH_CONFIG", "")
    with pytest.raises(SettingsError, match="variable LATENTWATCH_CONFIG: is empty"):
        settings_of(None, None)
    monkeypatch.setenv("LATENTWATCH_CONFIG", "/nowhere.toml")
    with pytest.raises(SettingsError, match=r"nowhere\.toml: .*variable LATENTWATCH_CONFIG"):
        settings_of(None, None)


def test_the_database_s_password_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTWATCH_DATABASE_URL", "postgresql://watch:hunter2@127.0.0.1:9/none")
    settings = load_settings(None)
    assert "hunter2" not in f"{settings} {settings!r} {settings.model_dump_json()}"
    with pytest.raises(DatabaseError) as caught:
        open_database(settings.database_url)
    assert "127.0.0.1" in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://a:geheim@h/b", "nonsense", "sqlite://"])
@pytest.mark.parametrize("place", ["file", "environment"])
def test_what_is_no_database_is_refused_where_it_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, place: str
) -> None:
    file = write(tmp_path, f'database_url = "{url}"\n' if place == "file" else "")
    origin = f"{file}: database_url: "
    if place == "environment":
        monkeypatch.setenv("LATENTWATCH_DATABASE_URL", url)
        origin = ".*LATENTWATCH_DATABASE_URL.*"
    with pytest.raises(SettingsError, match=f"{origin}.*sqlite:///PATH") as caught:
        load_settings(file)
    assert "geheim" not in str(caught.value)
