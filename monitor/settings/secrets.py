"""Which settings are secrets, so that they are neither taken from a file nor repeated."""

SLACK_SECRETS = ("bot_token", "app_token", "signing_secret")
DESTINATION_SECRETS = ("routing_key", "secret", "password")
NOT_IN_A_FILE = {
    "explainer": ("api_key",),
    "judge": ("api_key",),
    "hub": ("token",),
    "webhooks": ("secret", "hub_secret", "mlflow_secret", "read_token"),
}
"""By table, keys that must not lie in a settings file, besides those of alerts."""
SECRET = frozenset(
    {
        *("explainer", "explainer.api_key", "broker", "broker.url", "database_url"),
        *("judge", "judge.api_key"),
        *("alerts", "alerts.slack", *(f"alerts.slack.{name}" for name in SLACK_SECRETS)),
        *("hub", "hub.token", "mlflow.tracking_uri", "webhooks"),
        *("webhooks.secret", "webhooks.hub_secret", "webhooks.mlflow_secret"),
        "webhooks.read_token",
    }
)
"""Keys whose value is not repeated in an error."""
