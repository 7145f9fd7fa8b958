"""Where settings come from, which wins, and errors that name the place and the key."""

import pickle
from pathlib import Path

import pytest

from alerts.probes.suite import bundled_suites
from alerts.routing import Route, Rung
from monitor.database.opening import open_database
from monitor.errors import DatabaseError, SettingsError
from monitor.paging.route_doctor import examine_routes, without_ladder
from monitor.settings import Settings, load_settings
from monitor.settings.alerts import AlertSettings
from monitor.settings.recipe import RecipeSettings


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "latentwatch.toml"
    path.write_text(text)
    return path


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


LINE = '[[lines]]\nname = "{}"\ndirectory = "d"\n'


@pytest.mark.parametrize(
    "text, message",
    [
        ("ratio = 1", r"latentwatch\.toml: ratio: Extra inputs.*correct its spelling"),
        ("[recipe]\ntoken = 1", r"latentwatch\.toml: recipe\.token: Extra"),
        (LINE.format("a") + "quiet = 1", r"lines\.0\.quiet: Extra"),
        ("[recipe.dfc]\nlatents = 1", r"recipe\.dfc\.latents: Extra"),
        ("[recipe.dfc]\nk = -1", r"recipe\.dfc\.k: .*it is -1"),
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


KEY = "sk-not-to-be-shown"


def test_a_key_comes_from_the_environment_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_EXPLAINER__API_KEY", KEY)
    table = '[explainer]\nbase_url = "http://localhost:8000/v1"\nmodel = "m"'
    settings = load_settings(write(tmp_path, table))
    key = settings.explainer.api_key
    assert key is not None and key.get_secret_value() == KEY
    assert KEY not in repr(settings) and settings.explainer.max_features == 5


def test_nobody_is_asked_by_default() -> None:
    assert load_settings().explainer.base_url is None
    assert load_settings().judge.endpoint() is None


def test_the_judge_is_set_like_the_explainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_JUDGE__API_KEY", KEY)
    table = '[judge]\nbase_url = "http://localhost:8000/v1"\nmodel = "m"'
    endpoint = load_settings(write(tmp_path, table)).judge.endpoint()
    assert endpoint is not None
    assert (endpoint.model, endpoint.api_key) == ("m", KEY)
    with pytest.raises(
        SettingsError, match=r"judge\.api_key: a key must not lie in a file"
    ) as caught:
        load_settings(write(tmp_path, f'[judge]\napi_key = "{KEY}"'))
    with pytest.raises(SettingsError, match="set LATENTWATCH_JUDGE__API_KEY"):
        load_settings(write(tmp_path, '[judge]\nbase_url = "http://u:p@h/v1"\nmodel = "m"'))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (f'api_key = "{KEY}"', r"explainer\.api_key: a key must not lie in a file.*EXPLAINER__API"),
        ('base_url = "http://h/v1"', "base_url and model belong together"),
        (f'base_url = "http://u:{KEY}@h/v1"\nmodel = "m"', "must hold no name or password"),
        ('base_url = "ftp://h"\nmodel = "m"', r"explainer\.base_url: URL scheme should be"),
        ("max_features = 0", r"explainer\.max_features: .*it is 0"),
    ],
)
def test_a_mistake_about_the_explainer_is_named(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(write(tmp_path, f"[explainer]\n{table}"))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LATENTWATCH_EXPLAINER__API_KEY", f"{KEY} "),
        ("LATENTWATCH_EXPLAINER__API_KEY", f"{KEY}\n"),
        ("LATENTWATCH_EXPLAINER", f'"{KEY}"'),
    ],
)
def test_a_bad_key_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match="explainer") as caught:
        load_settings()
    assert KEY not in str(caught.value)


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


ROUTE = '[[alerts.routes]]\nchannel = "C0ALERTS"\n'


@pytest.mark.parametrize(
    "text, message",
    [
        (ROUTE + 'lines = ["chat"]\n', r"alerts\.routes: the last one must take what no other"),
        (ROUTE + 'severities = ["critical"]\n', r"alerts\.routes: the last one must take"),
        (
            '[[alerts.routes]]\nchannel = "C0B"\nlines = ["ghost"]\n' + ROUTE,
            r"alerts\.routes: number 1: no line is called 'ghost'; there are none; correct",
        ),
        (
            '[[alerts.routes]]\nchannel = "#alerts"\n',
            r"alerts\.routes\.0\.channel: must be the id of a channel.*Copy link.*'#alerts'",
        ),
        (
            ROUTE + 'mention = "@safety"\n',
            r"alerts\.routes\.0\.mention: must be the id of a user group",
        ),
        (ROUTE + "[alerts]\nquiet = 1\n", r"alerts\.quiet: Extra"),
        ('[alerts]\nexamples = "some"\n', r"alerts\.examples: .*'none', 'redacted' or 'full'"),
        ('[alerts.slack]\nlisten = "3000"\n', r"alerts\.slack\.listen: must be HOST:PORT"),
        ('[alerts.slack]\napp_token = "x"\n', r"must not lie in a file.*ALERTS__SLACK__APP_TOKEN"),
    ],
)
def test_unusable_alert_settings_are_refused_at_the_start(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(write(tmp_path, text))


@pytest.mark.parametrize(
    "text, message",
    [
        ('[alerts]\nreviewers = ["@ada"]\n', "alerts.reviewers.0: must be the id of a user (U"),
        ('[alerts]\noutages_to = ["#ops"]\n', "alerts.outages_to.0: must be the id of a channel"),
        (
            ROUTE + 'destinations = ["oncall"]\n',
            "alerts.routes: of the destinations none is called",
        ),
        ('[alerts]\nreport_url = "ftp://a"\n', "or 'https'; write it as https://HOST/PATH"),
        (
            '[alerts.destinations.mail]\nkind = "email"\nhost = "smtp"\nrecipients = ["a@b"]\n'
            'sender = "Lab"\n',
            "alerts.destinations.mail.sender: must be an address alone, such as latentwatch@lab",
        ),
        (
            '[[alerts.routes]]\nchannel = "C0B"\nbehaviours = ["sycofancy"]\n' + ROUTE,
            "alerts.routes: number 1: no suite has a behaviour 'sycofancy', so that the route "
            "would never be taken; there are sycophancy, sure_flips",
        ),
    ],
)
def test_a_mistake_about_alerts_is_told_once_with_its_place_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN", "xoxb-secret")
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__APP_TOKEN", "xapp-secret")
    config = write(tmp_path, text if "routes" in text else text + ROUTE)
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    said = str(refused.value)
    assert said.startswith(f"{config}: alerts.") and message in said
    assert "\n" not in said and "_TOKEN" not in said


def test_a_behaviour_of_an_own_suite_may_be_named_and_of_one_that_can_not_be_read_nobody_knows(
    tmp_path: Path,
) -> None:
    route = '[[alerts.routes]]\nchannel = "C0B"\nbehaviours = ["flattery"]\n' + ROUTE
    config = write(tmp_path, '[recipe]\nsuites = ["own.json"]\n' + route)
    assert load_settings(config).alerts.routes[0].behaviours == ["flattery"]
    own = bundled_suites()["sycophancy"].model_copy(update={"behaviour": "flattery"})
    (tmp_path / "own.json").write_text(own.model_dump_json())
    assert load_settings(config).alerts.routes[0].behaviours == ["flattery"]
    config.write_text(config.read_text().replace("flattery", "flatery"))
    with pytest.raises(SettingsError, match=r"'flatery'.*there are flattery, sycophancy"):
        load_settings(config)


def test_a_route_of_critical_alerts_that_calls_nobody_else_is_told() -> None:
    rung = Rung(after_seconds=900.0, mention="S0SAFETY")
    routes = [
        Route(channel="C0A", severities=["warning"]),
        Route(channel="C0A", lines=["chat"], ladder=[rung]),
        Route(channel="C0A"),
    ]
    [found] = without_ladder(AlertSettings(routes=routes))
    assert found.ok and found.what == "route 3"
    assert "is repeated every 4 h" in found.said and "alerts.routes[2].ladder" in found.said


def test_secrets_of_slack_come_from_the_environment_and_are_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN", "xoxb-secret")
    with pytest.raises(SettingsError, match="there is a bot_token but no route") as refused:
        load_settings()
    settings = load_settings(write(tmp_path, ROUTE))
    assert settings.alerts.slack.bot_token is not None
    assert "xoxb-secret" not in f"{refused.value}{settings!r}{settings.model_dump_json()}"


def test_a_line_names_exactly_one_source(tmp_path: Path) -> None:
    settings = load_settings(
        write(
            tmp_path,
            """
            [[lines]]
            name = "hub"
            hub = { repo = "acme/chat", refs = ["main", "v*"] }
            trusted = "main@0123456789ab"
            [[lines]]
            name = "store"
            objects = { url = "s3://bucket/chat/" }
            [[lines]]
            name = "registry"
            [lines.mlflow]
            model = "chat"
            """,
        )
    )
    assert [str(line.source) for line in settings.lines] == [
        "Hub: acme/chat",
        "s3://bucket/chat",
        "MLflow: chat",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('directory = "d"\nhub = { repo = "a/b" }', "lines.0: line a: names directory and hub as"),
        ('hub = { repo = "b" }', r"lines\.0\.hub\.repo"),
        ('hub = { repo = "../../b" }', r"lines\.0\.hub\.repo"),
        ('hub = { repo = "a/b", branch = "main" }', r"lines\.0\.hub\.branch: Extra"),
        ('hub = { repo = "a/b", commits = 0 }', r"lines\.0\.hub\.commits"),
        ('mlflow = { model = "" }', r"lines\.0\.mlflow\.model"),
    ],
)
def test_a_mistake_about_a_source_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(write(tmp_path, f'[[lines]]\nname = "a"\n{line}'))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (f'[hub]\ntoken = "{KEY}"', r"hub\.token: a key must not lie in a file.*HUB__TOKEN"),
        (f'[webhooks]\nsecret = "{KEY}"', r"webhooks\.secret: a key must not .*WEBHOOKS__SECRET"),
        (f'[mlflow]\ntracking_uri = "http://u:{KEY}@h"', "must hold no name or password"),
    ],
)
def test_a_secret_of_a_source_is_refused_in_the_file(
    tmp_path: Path, table: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(write(tmp_path, table))
    assert KEY not in str(caught.value)


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
        ('[[lines]]\nname = "a"\ndirectory = "d"\ninclude = ""', r"line a: lines\.0\.include"),
    ],
)
def test_a_value_that_can_only_be_a_slip_is_refused(tmp_path: Path, table: str, key: str) -> None:
    with pytest.raises(SettingsError, match=key):
        load_settings(write(tmp_path, f"{table}\n"))


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "latentwatch.toml"
    file.write_text("poll_seconds = 7\n", encoding="utf-8-sig")
    assert load_settings(file).poll_seconds == 7


def test_the_database_s_password_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTWATCH_DATABASE_URL", "postgresql://watch:hunter2@127.0.0.1:9/none")
    settings = load_settings(None)
    assert "hunter2" not in f"{settings} {settings!r} {settings.model_dump_json()}"
    with pytest.raises(DatabaseError) as caught:
        open_database(settings.database_url)
    assert "127.0.0.1" in str(caught.value) and "hunter2" not in str(caught.value)


DESTINATION = (
    '[[alerts.routes]]\ndestinations = ["oncall"]\n'
    '[alerts.destinations.oncall]\nkind = "pagerduty"\n'
)


@pytest.mark.parametrize(
    "text, message",
    [
        (ROUTE + 'destinations = ["oncall"]\n', r"none is called 'oncall'.*add \[alerts\.dest"),
        (DESTINATION + 'routing_key = "x"\n', r"oncall\.routing_key: a key must not lie in a file"),
        (DESTINATION + "colour = 1\n", r"alerts\.destinations\.oncall\.colour: Extra"),
        (
            ROUTE + 'quiet = [{ zone = "Berlin", start = "22:00", end = "07:00" }]\n',
            r"no time zone is called 'Berlin'",
        ),
        (
            ROUTE + 'destinations = ["On-Call"]\n',
            r"routes\.0\.destinations\.0: must be a name of small",
        ),
        (ROUTE + '[alerts]\noutages_to = ["hook"]\n', r"none is called 'hook'"),
        (ROUTE + "[alerts]\noutages_to = []\n", r"outages_to: is empty"),
        (ROUTE + ROUTE, r"routes: number 1 takes everything"),
        (
            ROUTE + '[alerts]\nreviewers = ["U0ADA"]\ntwo_reviewers = true\n',
            r"two_reviewers: there is one reviewer",
        ),
    ],
)
def test_unusable_destinations_are_refused_at_the_start(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(write(tmp_path, text))


def test_a_secret_of_a_destination_that_is_not_described_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_ALERTS__DESTINATIONS__ONCAL__ROUTING_KEY", "s" * 32)
    with pytest.raises(
        SettingsError, match=r"oncal has no kind: describe it in \[alerts"
    ) as caught:
        load_settings(write(tmp_path, ROUTE))
    assert "s" * 32 not in str(caught.value)


def test_a_route_for_a_behaviour_that_no_suite_has_is_found() -> None:
    route = Route(channel="C0ALERTS", behaviours=["sycophancy", "syco*", "own_words", "flattery"])
    [found] = examine_routes(AlertSettings(routes=[route, Route(channel="C0A")]), RecipeSettings())
    assert found.what == "route 1" and "'flattery'" in found.said


def test_secrets_of_destinations_come_as_variables_or_files_and_are_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "LATENTWATCH_ALERTS__DESTINATIONS__ONCALL__ROUTING_KEY"
    config = write(tmp_path, DESTINATION)
    monkeypatch.setenv(variable, "hunter2")
    with pytest.raises(SettingsError, match="32 letters and digits") as caught:
        load_settings(config)
    assert "hunter2" not in str(caught.value)
    monkeypatch.delenv(variable)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / variable).write_text("A" * 32 + "\n")
    monkeypatch.setenv("LATENTWATCH_SECRETS_DIR", str(secrets))
    settings = load_settings(config)
    given = settings.alerts.destinations["oncall"]
    assert given.kind == "pagerduty" and given.routing_key is not None
    assert given.routing_key.get_secret_value() == "A" * 32
    assert "A" * 32 not in repr(settings)


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
