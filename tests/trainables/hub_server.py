"""A hub of our own on loopback: as much of the protocol as fetching a repository needs, and every way to fail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """What it holds and how it behaves.

    Attributes:
        commits: Repository, as in ``models/owner/name``, to commit to file to content.
        refs: Repository to branch or tag to commit.
        status: Answer every request with this status instead, and ``code`` in X-Error-Code.
        cut: File to how many bytes of it a connection carries before it breaks off.
        silent: Files of which nothing arrives.
        down_after: Contents of files that are sent before every connection for one is closed without an answer.
        served: Requests for the content of a file: its name and the first byte asked for.
    """

    commits: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    refs: dict[str, dict[str, str]] = field(default_factory=dict)
    status: int | None = None
    code: str = ""
    cut: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    down_after: int | None = None
    served: list[tuple[str, int]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def add(self, repository: str, commit: str, files: dict[str, bytes], *names: str) -> None:
        self.commits.setdefault(repository, {})[commit] = files
        self.refs.setdefault(repository, {}).update(dict.fromkeys(names, commit))


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub while it answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if hub.status is not None:
                return self.refuse(hub.status, hub.code)
            words = self.path.partition("?")[0].strip("/").split("/")
            api = words[0] == "api"
            kind = words[1] if api else "datasets" if words[0] == "datasets" else "models"
            words = words[2:] if api else words[1:] if kind == "datasets" else words
            verb = next((i for i, word in enumerate(words) if word in ("revision", "tree", "resolve")), len(words))
            repository = "/".join([kind, *words[:verb]])
            if repository not in hub.commits:
                return self.refuse(404, "RepoNotFound")
            name = words[verb + 1] if verb < len(words) else "main"
            commit = hub.refs[repository].get(name, name)
            if commit not in hub.commits[repository]:
                return self.refuse(404, "RevisionNotFound")
            files = hub.commits[repository][commit]
            if not api:
                return self.file("/".join(words[verb + 2 :]), files, commit)
            if words[verb : verb + 1] == ["tree"]:
                rows = [
                    {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                    for path, content in files.items()
                ]
                return self.answer(json.dumps(rows).encode())
            return self.answer(json.dumps({"id": "/".join(words[:verb]), "sha": commit, "siblings": []}).encode())

        def file(self, name: str, files: dict[str, bytes], commit: str) -> None:
            if name not in files:
                return self.refuse(404, "EntryNotFound")
            content = files[name]
            first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            if self.command == "GET" and hub.down_after is not None and len(hub.served) >= hub.down_after:
                self.close_connection = True
                return
            self.send_response(206 if first else 200)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", commit)
            self.send_header("Content-Length", str(len(content) - first))
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if self.command == "HEAD":
                return
            hub.served.append((name, first))
            if name in hub.silent:
                hub.over.wait(60)
                self.close_connection = True
                return
            self.wfile.write(content[first : first + hub.cut.get(name, len(content))])
            self.close_connection = name in hub.cut

        def refuse(self, status: int, code: str = "") -> None:
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        hub.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
