"""Runs the migrations in the transaction that `monitor.database.opening` has opened."""

from alembic import context

from monitor.database.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite can't alter most things in place
)
with context.begin_transaction():
    context.run_migrations()
