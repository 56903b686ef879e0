"""The status page as an Atom feed (RFC 4287): an entry for each outage, and one for each thing told of an incident."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5
from xml.etree import ElementTree

from prodsprints.controls.integrations.health import Level
from prodsprints.controls.integrations.status_page import Outage, StatusPage

MEDIA_TYPE = "application/atom+xml"

_ATOM = "http://www.w3.org/2005/Atom"
# Whoever mints a tag: URI must own its name (RFC 4151). `.invalid` is nobody's and never will be (RFC 2606), so nobody
# else mints ours, and the feed keeps its ids when it moves to another address.
_AUTHORITY = "prodsprints.invalid,2026"
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Entry:
    id: str
    title: str
    published: datetime
    updated: datetime
    content: str
    anchor: str


def atom(page: StatusPage, tenant_id: UUID, *, title: str, page_url: str, feed_url: str) -> bytes:
    """The document; `page_url` and `feed_url` are where both are read."""
    feed_id = uuid5(NAMESPACE_URL, f"prodsprints status {tenant_id}")
    root = ElementTree.Element("feed", {"xmlns": _ATOM, "xml:lang": "en"})
    _text(root, "id", f"tag:{_AUTHORITY}:status/{feed_id}")
    _text(root, "title", title)
    _text(root, "updated", _moment(page.changed_at or _BEGINNING))
    _text(ElementTree.SubElement(root, "author"), "name", "ProdSprints")
    ElementTree.SubElement(root, "link", {"rel": "self", "type": MEDIA_TYPE, "href": feed_url})
    ElementTree.SubElement(root, "link", {"rel": "alternate", "type": "text/html", "href": page_url})
    for entry in sorted(_entries(page), key=lambda entry: entry.updated, reverse=True):
        element = ElementTree.SubElement(root, "entry")
        _text(element, "id", entry.id)
        _text(element, "title", entry.title)
        _text(element, "published", _moment(entry.published))
        _text(element, "updated", _moment(entry.updated))
        link = {"rel": "alternate", "type": "text/html", "href": f"{page_url}#{entry.anchor}"}
        ElementTree.SubElement(element, "link", link)
        _text(element, "content", entry.content).set("type", "text")
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _entries(page: StatusPage) -> Iterator[_Entry]:
    for outage in page.outages:
        yield _Entry(
            f"tag:{_AUTHORITY}:outage/{outage.id}",
            _headline(outage),
            outage.began_at,
            max(outage.updated_at, outage.began_at),
            f"{outage.words} {_lasted(outage)}".strip(),
            f"outage-{outage.id}",
        )
    for incident in page.incidents:
        for update in incident.updates:
            yield _Entry(
                f"tag:{_AUTHORITY}:update/{update.id}",
                f"{incident.title}: {update.stage}",
                update.at,
                update.at,
                update.words,
                f"incident-{incident.id}",
            )


def _headline(outage: Outage) -> str:
    how = "down" if outage.level is Level.DOWN else "degraded"
    if outage.ended_at is None:
        return f"{outage.service} is {how}"
    return f"{outage.service} was {how}" if outage.end_is_known else f"{outage.service} was {how}; its end was not seen"


def _lasted(outage: Outage) -> str:
    began = f"Since {outage.began_at:%Y-%m-%d %H:%M:%S} UTC."
    if outage.ended_at is None:
        return began
    end = f"{outage.ended_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{began} Over at {end}." if outage.end_is_known else f"{began} Last seen at {end}; then nobody looked."


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(parent: ElementTree.Element, name: str, text: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, name)
    element.text = text
    return element
