"""The page on which a risk document becomes the register: pasted or chosen, with what was understood of it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, File, UploadFile
from starlette.responses import Response

from prodsprints.ledger import people
from prodsprints.register import documents
from prodsprints.register.markdown.text import decoded
from prodsprints.web import governing
from prodsprints.web.api.answers import Here
from prodsprints.web.identity import Caller, Changing, Reading
from prodsprints.web.pages.forms import FormId, Trouble, Typed, act
from prodsprints.web.pages.render import page
from prodsprints.web.site import Site

router = APIRouter()

_UNPROCESSABLE = 422
_MOST_VERSIONS = 20


@router.get("/import")
def new_import(here: Here, caller: Reading) -> Response:
    """The form, what came of the version that holds now, and the versions before it."""
    return _page(here, caller, "")


@router.post("/import")
def import_document(
    here: Here,
    caller: Changing,
    form: FormId,
    markdown: Typed = "",
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Make it the register. A file that was chosen goes before what was pasted."""
    chosen = file.file.read() if file is not None and file.filename else b""
    text = decoded(chosen) if chosen else markdown

    def perform(id: UUID) -> str:
        governing.import_document(here, caller, text, id=id)
        return "/import#came"

    came = act(here, caller, form, ["import", text], perform)
    return _page(here, caller, text, came) if isinstance(came, Trouble) else came


def _page(here: Site, caller: Caller, markdown: str, trouble: Trouble | None = None) -> Response:
    versions = documents.versions(here.db, caller.tenant_id)[:_MOST_VERSIONS]
    return page(
        "import.html",
        caller=caller,
        section="import",
        status=_UNPROCESSABLE if trouble else 200,
        trouble=trouble,
        form_id=uuid4(),
        markdown=markdown,
        source=documents.source_of(here.db, caller.tenant_id),
        versions=versions,
        current=next((one for one in versions if one.is_signed), None),
        names=people.names(here.db, caller.tenant_id, {one.person for one in versions}),
    )
