"""Commands on data: `losolab data check | look | synthesize`, and `losolab data cache list | check | remove`."""

from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from search_spaces.config import TrialConfig
from search_spaces.errors import UserError
from search_spaces.network_inputs import master
from study.cli.terminal import console, errors, say
from study.cli.text_table import Column, TextTable

app = typer.Typer(no_args_is_help=True, help="A dataset: check it, look at it, render one; the cache of decoded clips.")
cache = typer.Typer(no_args_is_help=True, help="The cache of decoded clips: list it, check it, remove from it.")
app.add_typer(cache, name="cache")

Storage = Annotated[Path, typer.Option(help="where studies and the cache lie")]
DEFAULT = Path("studies")
_COLUMNS = (
    Column("name"),
    Column("dataset"),
    Column("master", drop=4),  # a name begins with it
    Column("clips", numeric=True, drop=2),
    Column("frames", numeric=True, drop=3),
    Column("MiB", numeric=True),
    Column("made", drop=1),
)


@app.command()
def check(
    reader: Annotated[str, typer.Argument(help="casme2, samm, smic, casme_squared, megc2019, manifest, ...")],
    path: Annotated[Path | None, typer.Argument(help="the dataset's folder or manifest")] = None,
    labels: Annotated[str | None, typer.Option(help="a label map by name, e.g. megc3")] = None,
    option: Annotated[list[str] | None, typer.Option(help="an option of the reader: NAME=VALUE; repeatable")] = None,
    decode: Annotated[bool, typer.Option("--decode", help="decode every clip, too, videos by two decoders")] = False,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Say what a dataset holds, everything that is wrong with it, and what would be left out. Ends with 2 if wrong."""
    from study.cli import check_view
    from study.data.inspection import dataset_check

    options = dataset_check.options_of(labels, option or [])
    try:
        with errors.status("reading the dataset") as line:
            found = dataset_check.check(
                reader, path, options, decode=decode, progress=lambda done, of: line.update(f"decoding {done} of {of}")
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; a check writes nothing, and begins anew") from None
    if json:
        typer.echo(dumps(dataset_check.facts(found), indent=2, ensure_ascii=False))
    else:
        check_view.show(found, console)
    if found.problems:
        raise typer.Exit(2)


@app.command()
def look(
    reader: Annotated[str, typer.Argument(help="manifest, casme2, ..., or package.module:name")],
    path: Annotated[Path, typer.Argument(help="the dataset's folder or manifest")],
    labels: Annotated[str | None, typer.Option(help="a label map by name")] = None,
    option: Annotated[list[str], typer.Option(help="an option of the reader: NAME=VALUE; may be repeated")] = [],
    regions: Annotated[str, typer.Option(help="what to show, face first")] = "face,eyes,mouth",
    landmarks: Annotated[str, typer.Option(help="the factor: onset or per_frame")] = "onset",
    alignment: Annotated[str, typer.Option(help="the factor: similarity or none")] = "similarity",
    storage: Storage = DEFAULT,
) -> None:
    """Write a page that shows each clip as the networks will see it, the worst alignments first."""
    from study.data import readers
    from study.data.cache import build
    from study.data.cache import store as cached
    from study.data.inspection import requirements
    from study.data.inspection.contact_sheet import write
    from study.data.inspection.dataset_check import options_of

    index = readers.read(reader, path, options_of(labels, option))
    configs = [_shown(region.strip(), landmarks, alignment) for region in regions.split(",")]
    if found := requirements.problems(configs, index):
        raise UserError(found)
    masters = [master(config, config.regions) for config in configs]
    there = readers.materialise(index, storage / "data")
    try:
        with console.status("reading videos") as line:
            clips = cached.load(there, masters, storage / "cache", _counted(line.update))
    except KeyboardInterrupt:
        typer.echo(build.STOPPED, err=True)
        raise typer.Exit(130) from None
    page = write(there, clips, masters, storage / "look" / index.name)
    typer.echo(f"{page}\nIt shows faces, which datasets' licences forbid to pass on: it stays on this computer.")


@app.command()
def synthesize(
    folder: Annotated[Path, typer.Argument(help="the folder to make")],
    subjects: Annotated[int, typer.Option(min=2, help="people, each with a face of their own")] = 12,
    clips: Annotated[int, typer.Option(min=2, help="clips a subject, on average")] = 12,
    seed: Annotated[int, typer.Option(help="another one is another dataset")] = 0,
    mislabelled: Annotated[float, typer.Option(min=0, max=1, help="share of clips with a wrong label")] = 0.1,
    motion: Annotated[float, typer.Option(min=0, help="pixels on a face of 128 pixels")] = 5.0,
) -> None:
    """Render a dataset of synthetic faces as video files, with an annotation table and its planted answer."""
    from study.data.synthetic.dataset import Synthetic
    from study.data.synthetic.writer import synthesize as write

    spec = Synthetic(subjects=subjects, clips=clips, seed=seed, mislabelled=mislabelled, motion=motion)
    with console.status("rendering"):
        write(folder, spec)
    say(console, f"wrote {folder}: clips.csv, truth.json and the videos")


@cache.command("list")
def list_(storage: Storage = DEFAULT) -> None:
    """List what the cache holds, and how much of it belongs to builds that have not ended."""
    from study.data.cache import listing

    rows = []
    for one in listing.stored(storage / "cache"):
        size, made = f"{one.size / 2**20:.1f}", f"{one.made:%Y-%m-%d %H:%M}"
        rows.append((one.name, one.dataset, one.master, str(one.clips), str(one.frames), size, made))
    console.print(TextTable("", _COLUMNS, rows))
    if parts := listing.unfinished(storage / "cache"):
        left = sum(part.stat().st_size for part in parts) / 2**20
        say(console, f"{len(parts)} decoded parts of builds that have not ended, {left:.1f} MiB")


@cache.command("check")
def check_cache(storage: Storage = DEFAULT) -> None:
    """Hold every file against the digest it was written with; exit code 2 where one is damaged."""
    from study.data.cache import listing

    if found := listing.damaged(storage / "cache"):
        raise UserError(found)
    typer.echo("every file of the cache is what was written")


@cache.command("remove")
def remove(
    names: Annotated[list[str], typer.Argument(help="names as `losolab data cache list` shows them, or: all")],
    storage: Storage = DEFAULT,
) -> None:
    """Remove files of the cache, and the parts of builds that have not ended. Studies decode again what they need."""
    from study.data.cache import listing

    folder = storage / "cache"
    chosen = [file.stem for file in listing.files(folder)] if names == ["all"] else names
    gone = listing.remove(folder, chosen)
    typer.echo(f"removed {len(gone)} files")


def _shown(region: str, landmarks: str, alignment: str) -> TrialConfig:
    from search_spaces.config import FACTORS, choices

    given = {"regions": region, "landmarks": landmarks, "alignment": alignment}
    single = [level for level in choices(FACTORS["regions"]) if "+" not in level]
    valid = {name: single if name == "regions" else list(choices(FACTORS[name])) for name in given}
    if wrong := [name for name, level in given.items() if level not in valid[name]]:
        raise UserError([f"--{name} {given[name]}: valid: {', '.join(valid[name])}" for name in wrong])
    return TrialConfig(**given)  # type: ignore[arg-type]


def _counted(show: Callable[[str], None]) -> Callable[[int, int], None]:
    return lambda done, total: show(f"reading videos: {done} of {total} clips")
