"""Options of the annotated datasets' readers, as a study file gives them under `dataset.options`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from search_spaces.errors import UserError


class Correction(BaseModel):
    """A clip's annotation where the owner's is wrong; frames as the annotation numbers them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    label: str | None = None


class Options(BaseModel):
    """What every annotated dataset takes; a reader may have its own of another default, and add some.

    missing: what becomes of a clip with frames missing on disk: `refuse` (nothing is read), `leave_out` (the clip),
    or `keep` (the frames that are there). window: clips with fewer frames are widened to as many, around the apex, or
    from their onset on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    labels: str | dict[str, str] = "megc3"
    labels_from: str | None = None
    window: Annotated[int, Field(ge=2)] | None = None
    window_from: Literal["apex", "onset"] = "apex"
    missing: Literal["refuse", "leave_out", "keep"] = "refuse"
    images: str | None = None  # a kind of images or a folder below the dataset's, where there are several
    annotation: str | None = None  # a file below the dataset's folder, where there are several
    landmarks: str | None = None  # a folder below the dataset's, or `beside`: with the images (landmark_files.py)
    corrections: dict[str, Correction] = {}


Given = TypeVar("Given", bound=BaseModel)


def parsed(model: type[Given], options: Mapping[str, Any], reader: str) -> Given:
    """The options as a reader's model. Raises UserError with every problem; an unknown name gets the valid ones."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as invalid:
        raise UserError([_sentence(error, model, reader) for error in invalid.errors()]) from None


def _sentence(error: Any, model: type[BaseModel], reader: str) -> str:
    place = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        inside = Correction if place[0] == "corrections" else model
        valid = ", ".join(inside.model_fields)
        return f"dataset: option {'.'.join(place)} is not one of {reader}; valid: {valid}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"dataset: option {'.'.join(place)} is {error['input']!r}: {message}"
