"""From exclusive latents to the few that are new, and what these do and say."""
