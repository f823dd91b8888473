"""The record of all traffic: one HAR entry a line in the state, from which `log` prints lines and makes HAR files."""

from __future__ import annotations

import base64
import datetime
import json
import os
import pathlib
import re
import typing as t
import urllib.parse

from . import __name__ as package

if t.TYPE_CHECKING:  # `log` must not wait for mitmproxy to load
    from mitmproxy import http

LARGEST_BODY = 256 * 1024  # bytes kept of a body that is not text: blobs would fill the disk
HIDDEN = "hidden"
SECRET_HEADERS = {"authorization", "proxy-authorization", "x-ms-copy-source-authorization"}
SECRET_FIELDS = {"access_token", "refresh_token", "id_token", "client_secret", "client_assertion", "secrettext", "administratorloginpassword"}
SECRET_LISTS = {"keys", "kubeconfigs"}  # lists of {…, value}: storage keys, kubeconfigs
Entry = dict[str, t.Any]


class Traffic:
    """The file that exchanges are appended to; only its owner may read it, as it holds tokens and passwords."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def record(self, flow: http.HTTPFlow, comment: str = "") -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(entry_of(flow, comment), separators=(",", ":")) + "\n")

    def entries(self, since: str = "") -> t.Iterator[Entry]:
        """What was recorded, oldest first, from the moment `since` (ISO 8601) on."""
        if not self.path.exists():
            return
        start = moment(since) if since else None
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                if not line.endswith("\n"):  # being written just now
                    break
                entry = json.loads(line)
                if start is None or moment(entry["startedDateTime"]) >= start:
                    yield entry

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)

    def har(self, since: str = "", secrets: bool = False) -> dict[str, t.Any]:
        """A HAR 1.2 document. Without `secrets`, passwords, keys and tokens are replaced by the word hidden."""
        entries = [entry if secrets else hide(entry) for entry in self.entries(since)]
        return {"log": {"version": "1.2", "creator": {"name": package, "version": "1"}, "pages": [], "entries": entries}}


def moment(text: str) -> datetime.datetime:
    """A moment written in ISO 8601; without a zone it is UTC. Raises ValueError, in one sentence, on anything else."""
    try:
        parsed = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is not a time such as 2026-03-01T09:30:00Z (`log --mark` prints the present one).") from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)


def entry_of(flow: http.HTTPFlow, comment: str = "") -> Entry:
    """The HAR entry of one exchange."""
    request, response = flow.request, flow.response
    end = (response.timestamp_end if response else None) or request.timestamp_end or request.timestamp_start
    entry: Entry = {
        "startedDateTime": datetime.datetime.fromtimestamp(request.timestamp_start, datetime.UTC).isoformat(),
        "time": round(1000 * max(0.0, end - request.timestamp_start), 1),
        "request": {
            "method": request.method,
            "url": url_of(flow),
            "httpVersion": request.http_version,
            "cookies": [],
            "headers": _pairs(request.headers),
            "queryString": _pairs(request.query),
            "headersSize": -1,
            "bodySize": len(request.raw_content or b""),
        },
        "response": _response(flow),
        "cache": {},
        "timings": {"send": 0, "wait": round(1000 * max(0.0, end - request.timestamp_start), 1), "receive": 0},
    }
    if request.raw_content:
        entry["request"]["postData"] = {"mimeType": request.headers.get("content-type", ""), "params": [], **_text(request)}
    if comment:
        entry["comment"] = comment
    return entry


def url_of(flow: http.HTTPFlow) -> str:
    """The address that the client asked for, also where the request was passed on to another one."""
    return str(flow.metadata.get("url", flow.request.url))


def line_of(entry: Entry) -> str:
    """One exchange on one line: time, status, milliseconds, method, address without its query (but for the api-version)."""
    url = urllib.parse.urlsplit(entry["request"]["url"])
    version = urllib.parse.parse_qs(url.query).get("api-version", [""])[0]
    status = entry["response"]["status"] or "---"
    started = moment(entry["startedDateTime"]).strftime("%H:%M:%S")
    suffix = f"  {version}" if version else ""
    suffix += f"  [{entry['comment']}]" if entry.get("comment") else ""
    return f"{started} {status} {entry['time']:>7.0f} ms {entry['request']['method']:<6} {url.netloc}{url.path}{suffix}"


def hide(entry: Entry) -> Entry:
    """The entry without what would let somebody in."""
    entry = json.loads(json.dumps(entry))
    for message in (entry["request"], entry["response"]):
        for header in message["headers"]:
            if header["name"].lower() in SECRET_HEADERS:
                header["value"] = HIDDEN
    for part in (entry["request"].get("postData"), entry["response"]["content"]):
        if part and part.get("text"):
            part["text"] = _hide_text(part["text"], part["mimeType"])
    entry["request"]["url"] = re.sub(r"([?&]sig=)[^&]+", rf"\g<1>{HIDDEN}", entry["request"]["url"])
    for pair in entry["request"]["queryString"]:
        if pair["name"] == "sig":
            pair["value"] = HIDDEN
    return entry


def _hide_text(text: str, kind: str) -> str:
    if "x-www-form-urlencoded" in kind:
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True)
        return urllib.parse.urlencode([(name, HIDDEN if name in SECRET_FIELDS else value) for name, value in pairs])
    if "json" in kind:
        try:
            return json.dumps(_hide_json(json.loads(text)))
        except ValueError:
            return text
    return text


def _hide_json(value: t.Any) -> t.Any:
    if isinstance(value, list):
        return [_hide_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    hidden: dict[str, t.Any] = {}
    for name, inner in value.items():
        if name.lower() in SECRET_FIELDS and isinstance(inner, str):
            hidden[name] = HIDDEN
        elif name in SECRET_LISTS and isinstance(inner, list):
            hidden[name] = [{**item, "value": HIDDEN} if isinstance(item, dict) and "value" in item else _hide_json(item) for item in inner]
        else:
            hidden[name] = _hide_json(inner)
    return hidden


def _response(flow: http.HTTPFlow) -> dict[str, t.Any]:
    response = flow.response
    if response is None:
        message = flow.error.msg if flow.error else "no answer"
        empty = {"size": 0, "mimeType": "", "text": ""}
        return {"status": 0, "statusText": message, "httpVersion": "", "cookies": [], "headers": [], "content": empty, "redirectURL": ""} | {
            "headersSize": -1,
            "bodySize": -1,
        }
    size = len(response.raw_content or b"")
    return {
        "status": response.status_code,
        "statusText": response.reason,
        "httpVersion": response.http_version,
        "cookies": [],
        "headers": _pairs(response.headers),
        "content": {"size": size, "mimeType": response.headers.get("content-type", ""), **_text(response)},
        "redirectURL": response.headers.get("location", ""),
        "headersSize": -1,
        "bodySize": size,
    }


def _text(message: http.Message) -> dict[str, str]:
    content = message.get_content(strict=False) or b""
    if len(content) <= LARGEST_BODY or "json" in message.headers.get("content-type", ""):
        try:
            return {"text": content.decode()}
        except UnicodeDecodeError:
            return {"text": base64.b64encode(content).decode(), "encoding": "base64"}
    return {"text": "", "comment": f"{len(content)} bytes, not kept"}


def _pairs(values: t.Any) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items(multi=True)]
