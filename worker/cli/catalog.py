"""`migrate` and `catalog import`."""

from pathlib import Path
from typing import Annotated

import typer

from worker.adapters.manifest_file import STDIN, manifest_name, manifest_portions
from worker.adapters.postgres.chunks import import_chunks
from worker.adapters.postgres.migrate import migrate as run_migrations
from worker.cli import library
from worker.cli.context import AsJson, print_json, print_text, run_async
from worker.cli.imported import imported_json, print_imported, rows_shown
from worker.cli.output import complain
from worker.core.catalog.manifest import Manifest
from worker.errors import ManifestError
from worker.settings.model import load_settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def migrate(*, as_json: AsJson = False) -> None:
    """Create or upgrade the schema; it can be run again."""
    url = load_settings(need=["database"]).database_url.get_secret_value()
    applied = run_async(lambda: run_migrations(url))
    if as_json:
        print_json({"applied": applied})
    else:
        print_text(f"applied {', '.join(applied)}" if applied else "the schema is up to date")


@app.command("import", epilog="Example: sampling-worker catalog import library.csv")
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="CSV with a header, or JSON Lines; .gz, .bz2 and .xz are read, and - is standard input."),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Register the chunks of a manifest (path, category, and optionally status, duration_s); all of it or nothing."""
    settings = load_settings(need=["database"])
    url = settings.database_url.get_secret_value()
    if str(file) != STDIN and not file.exists():
        raise typer.BadParameter(f"there is no file {str(file)!r}")
    manifest = Manifest(manifest_name(file), manifest_portions(file))
    try:
        with rows_shown(manifest.rows()) as rows:
            imported = run_async(lambda: import_chunks(url, rows, manifest.problems))
    except ManifestError as error:
        for sentence in error.sentences:
            complain(sentence)
        raise typer.Exit(error.exit_status) from error
    for sentence in manifest.notes.sentences():
        complain(f"{manifest.problems.name}: {sentence}")
    library.warn_of_query(settings)
    if as_json:
        print_json(imported_json(imported, manifest.notes))
    else:
        print_imported(manifest.problems.name, imported, manifest.notes)


app.command(epilog="Example: sampling-worker catalog show")(library.show)
