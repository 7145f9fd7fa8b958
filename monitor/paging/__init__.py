"""How alerts reach reviewers, and what these answer: the pager, its destinations, Slack."""
