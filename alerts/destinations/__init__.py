"""Whatever else is told of alerts: PagerDuty, Alertmanager, webhooks and mail."""
