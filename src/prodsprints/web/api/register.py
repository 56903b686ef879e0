"""The register over the API: how it stands, its gate, its document in and out."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from prodsprints.drills import policy
from prodsprints.kernel import clock
from prodsprints.register import documents, export, gate, heatmap, markdown
from prodsprints.register.gate import Gate
from prodsprints.register.markdown import page
from prodsprints.register.schema import schema
from prodsprints.web import governing, registers
from prodsprints.web.api import register_values
from prodsprints.web.api.answers import CHANGES, DRAWING, READS, Here, Key, answered, drawing
from prodsprints.web.idempotency import Answer, once
from prodsprints.web.identity import Changing, Reading

router = APIRouter(prefix="/register", tags=["register"])

Where = Annotated[
    str, Query(alias="environment", pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="Whose evidence counts.")
]
HERE = min(policy.SCRATCH)


class Document(StrEnum):
    """What the register can be written as."""

    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


class Report(StrEnum):
    """What the gate can answer as."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


@router.get("", responses=READS)
def get_register(here: Here, caller: Reading, where: Where = HERE) -> dict[str, Any]:
    """The whole register: what is claimed, and what is known of it in one environment."""
    return _as_json(registers.of(here, caller.tenant_id, where))


@router.get("/risks/{risk_id}", responses=READS)
def get_risk(risk_id: str, here: Here, caller: Reading, where: Where = HERE) -> dict[str, Any]:
    """One risk with its mitigations."""
    shown = registers.of(here, caller.tenant_id, where)
    return export.risk_as_json(shown.register.risk(risk_id), shown.assessment)


@router.get("/rows/{row_id}", responses=READS)
def get_row(row_id: str, here: Here, caller: Reading, where: Where = HERE) -> dict[str, Any]:
    """One mitigation."""
    shown = registers.of(here, caller.tenant_id, where)
    return export.row_as_json(registers.row(shown.register, row_id), shown.assessment)


@router.get("/heatmap.svg", response_class=Response, responses=READS | DRAWING)
def get_heatmap(here: Here, caller: Reading, where: Where = HERE) -> Response:
    """The risks by level and probability as they lie today, as an image of its own."""
    shown = registers.of(here, caller.tenant_id, where)
    return drawing(heatmap.svg(shown.register, assessment=shown.assessment, links=False))


@router.get("/gate", responses=READS)
def get_gate(
    here: Here,
    caller: Reading,
    where: Where = HERE,
    format: Report = Report.JSON,
    require: Annotated[list[str] | None, Query(max_length=200, description="Rows, risks or levels.")] = None,
) -> Response:
    """Whether a release may pass the register, and what keeps it from passing."""
    shown = registers.of(here, caller.tenant_id, where)
    return _report(gate.check(shown.assessment, shown.register, shown.overdue, require or ()), format)


@router.get("/export", responses=READS)
def get_export(here: Here, caller: Reading, where: Where = HERE, format: Document = Document.MARKDOWN) -> Response:
    """The risk document written back from live data: behind each claim what is known of it."""
    shown = registers.of(here, caller.tenant_id, where)
    if format is Document.JSON:
        return JSONResponse(_as_json(shown))
    source = documents.source_of(here.db, caller.tenant_id)
    if format is Document.HTML:
        text = page.html(source.document, source.register.risks, shown.assessment)
        return Response(text, media_type="text/html", headers=_SAVED | {"Content-Security-Policy": _BARE})
    return Response(
        markdown.render(source.document, source.register.risks, shown.assessment), media_type="text/markdown"
    )


@router.get("/schema", responses=READS)
def get_schema(_: Reading) -> dict[str, Any]:
    """The JSON Schema of `risk.yaml`."""
    return schema()


@router.get("/trend", responses=READS)
def get_trend(
    here: Here, caller: Reading, where: Where = HERE, days: Annotated[int, Query(ge=2, le=400)] = 90
) -> dict[str, Any]:
    """Day by day what was proven and what was left of the risks, and what moved it."""
    return registers.trend(here, caller.tenant_id, where, days=days).as_json()


@router.post("/import", status_code=201, response_model=register_values.Imported, responses=CHANGES)
def import_document(body: register_values.NewDocument, here: Here, caller: Changing, key: Key = None) -> Response:
    """Make a risk document in Markdown the register: its ticks are claims, and none is proven by that."""

    def perform(id: UUID) -> Answer:
        return Answer(201, governing.import_document(here, caller, body.markdown, id=id).as_json())

    return answered(once(here.db, caller.tenant_id, key, [caller.actor, "import", body.markdown], perform))


# An export is a page of ours that is opened anywhere: it brings its style, and may fetch and run nothing.
_BARE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_SAVED = {"Content-Disposition": 'inline; filename="risk-register.html"'}


def _as_json(shown: registers.Shown) -> dict[str, Any]:
    return export.as_json(shown.register, today=clock.now().date(), assessment=shown.assessment, overdue=shown.overdue)


def _report(found: Gate, format: Report) -> Response:
    if format is Report.JSON:
        return JSONResponse(found.as_json())
    if format is Report.JUNIT:
        return Response(found.as_junit(), media_type="application/xml")
    return Response(found.as_text(), media_type="text/plain")
