"""A small server that behaves as GitHub's REST API does for comments, issues and commits' pull
requests: tokens, authors, pages, limits and errors included.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

REPOSITORY = "lab/scgpt"
BOT = "github-actions[bot]"
BODY_LIMIT = 65_536

Json = dict[str, Any]


class RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class GitHub:
    """The state of one repository, and who may do what with which token."""

    tokens: dict[str, tuple[str, set[str]]] = field(default_factory=dict)
    """Token -> login and permissions (`pull-requests`, `issues`; with `:read` or `:write`)."""
    issues: dict[int, Json] = field(default_factory=dict)
    pulls: dict[int, Json] = field(default_factory=dict)
    all_comments: list[Json] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    """The requests that changed something, in order."""
    failures: list[int] = field(default_factory=list)
    """Statuses with which the next requests fail."""
    url: str = ""

    def open_pull(self, head: str) -> int:
        number = len(self.issues) + len(self.pulls) + 1
        self.pulls[number] = {
            "number": number, "state": "open", "head": {"sha": head}, "merged_at": None,
            "merge_commit_sha": None,
        }  # fmt: skip
        return number

    def merge(self, number: int, commit: str) -> None:
        self.pulls[number] |= {
            "state": "closed", "merged_at": "2026-11-21T08:00:00Z", "merge_commit_sha": commit,
        }  # fmt: skip

    def comments(self, number: int) -> list[Json]:
        return [c for c in self.all_comments if c["number"] == number]

    def say(self, number: int, login: str, body: str) -> Json:
        """A comment, by whom you like."""
        comment = {
            "id": len(self.all_comments) + 1000, "number": number, "user": {"login": login},
            "body": body, "html_url": f"https://github.test/{REPOSITORY}/issues/{number}#c",
        }  # fmt: skip
        self.all_comments.append(comment)
        return comment

    def answer(self, method: str, path: str, query: Json, body: Json, token: str) -> Any:
        if self.failures:
            raise RefusedError(self.failures.pop(0), "Server Error")
        login, permissions = self._who(token)
        for verb, pattern, needs, act in self._routes():
            match = re.fullmatch(f"/repos/{REPOSITORY}/{pattern}", path)
            if match and verb == method:
                if not needs & permissions:
                    raise RefusedError(403, "Resource not accessible by integration")
                if method != "GET":
                    self.writes.append(f"{method} {path}")
                return act(login, query, body, *match.groups())
        raise RefusedError(404, "Not Found")

    def _who(self, token: str) -> tuple[str, set[str]]:
        if token not in self.tokens:
            raise RefusedError(401, "Bad credentials")
        login, permissions = self.tokens[token]
        return login, permissions | {p.replace(":write", ":read") for p in permissions}

    def _routes(self) -> list[tuple[str, str, set[str], Callable[..., Any]]]:
        read = {"issues:read", "pull-requests:read"}
        write = {"issues:write", "pull-requests:write"}
        return [
            ("GET", r"issues/(\d+)/comments", read, self._list_comments),
            ("POST", r"issues/(\d+)/comments", write, self._comment),
            ("PATCH", r"issues/comments/(\d+)", write, self._edit_comment),
            ("GET", r"commits/([0-9a-f]{40})/pulls", {"pull-requests:read"}, self._pulls),
            ("GET", "issues", {"issues:read"}, self._list_issues),
            ("POST", "issues", {"issues:write"}, self._create_issue),
            ("PATCH", r"issues/(\d+)", {"issues:write"}, self._edit_issue),
        ]

    def _list_comments(self, login: str, query: Json, body: Json, number: str) -> list[Json]:
        return self.comments(int(number))

    def _comment(self, login: str, query: Json, body: Json, number: str) -> Json:
        if int(number) not in self.issues | self.pulls:
            raise RefusedError(404, "Not Found")
        return self.say(int(number), login, _text(body["body"]))

    def _edit_comment(self, login: str, query: Json, body: Json, comment: str) -> Json:
        found = next((c for c in self.all_comments if c["id"] == int(comment)), None)
        if found is None:
            raise RefusedError(404, "Not Found")
        found["body"] = _text(body["body"])
        return found

    def _pulls(self, login: str, query: Json, body: Json, commit: str) -> list[Json]:
        return [
            p for p in self.pulls.values() if commit in (p["merge_commit_sha"], p["head"]["sha"])
        ]

    def _list_issues(self, login: str, query: Json, body: Json) -> list[Json]:
        wanted = set(query.get("labels", "").split(",")) - {""}
        return [
            issue
            for issue in reversed(self.issues.values())
            if issue["state"] == query.get("state", "open")
            and wanted <= {label["name"] for label in issue["labels"]}
        ]

    def _create_issue(self, login: str, query: Json, body: Json) -> Json:
        number = len(self.issues) + len(self.pulls) + 1
        self.issues[number] = {
            "number": number, "state": "open", "title": body["title"],
            "body": _text(body["body"]), "user": {"login": login},
            "labels": [{"name": name} for name in body.get("labels", [])],
            "html_url": f"https://github.test/{REPOSITORY}/issues/{number}",
        }  # fmt: skip
        return self.issues[number]

    def _edit_issue(self, login: str, query: Json, body: Json, number: str) -> Json:
        self.issues[int(number)] |= body
        return self.issues[int(number)]


def _text(body: str) -> str:
    if len(body) > BODY_LIMIT:
        raise RefusedError(422, "Validation Failed: body is too long (maximum is 65536 characters)")
    return body


@contextmanager
def serve(github: GitHub) -> Iterator[GitHub]:
    """The API on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def _do(self) -> None:
            address = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(address.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            try:
                found = github.answer(self.command, address.path, query, body, token)
            except RefusedError as refused:
                self._send(refused.status, {"message": str(refused)})
                return
            self._send(200, found, address.path, query)

        do_GET = do_POST = do_PATCH = _do  # noqa: N815

        def _send(self, status: int, found: Any, path: str = "", query: Json | None = None) -> None:
            link = None
            if isinstance(found, list):
                query = query or {}
                page, size = int(query.get("page", 1)), int(query.get("per_page", 30))
                if len(found) > page * size:
                    following = urlencode({**query, "page": page + 1})
                    link = f'<{github.url}{path}?{following}>; rel="next"'
                found = found[(page - 1) * size : page * size]
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if link:
                self.send_header("Link", link)
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    github.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
