"""A verdict as people and programs read it: page, picture, Markdown, JUnit and SARIF."""
