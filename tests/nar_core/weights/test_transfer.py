"""A transfer from a server on this machine that speaks as the hub does: progress, resuming."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CONTENT = os.urandom(1 << 20) * 24
COMMIT = "0" * 40
REPO = "someone/NAR-imagenet-256-L"


@pytest.fixture
def server():
    """(address, byte offsets from which the file was asked for)."""
    asked: list[int] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(with_body=False)

        def do_GET(self):
            self.answer(with_body=True)

        def answer(self, with_body: bool) -> None:
            if self.path.startswith("/api/"):
                files = [{"rfilename": "any.pt"}, {"rfilename": "README.md"}]
                body = json.dumps({"id": REPO, "sha": COMMIT, "siblings": files}).encode()
                start = 0
            else:
                body = CONTENT
                start = int(self.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
                if with_body:
                    asked.append(start)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(CONTENT).hexdigest()}"')
            self.end_headers()
            if with_body:
                with contextlib.suppress(OSError):  # the client may have gone
                    self.wfile.write(body[start:])

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}", asked
    httpd.shutdown()
    httpd.server_close()


def test_a_transfer_tells_its_progress_and_goes_on_where_it_was_stopped(server, tmp_path):
    """In a process of its own, since the hub's client reads its address once."""
    address, asked = server
    script = textwrap.dedent("""
        import socket
        from nar_core.weights.fetch import Source, fetch

        class Closed(BaseException):
            pass

        told, most = [], 0.3
        def progress(text, share):
            told.append(share)
            if share > most:
                raise Closed

        try:
            fetch(Source("NAR-L", "REPO"), progress)
        except Closed:
            print("closed", told[-1] < 0.9)
        told, most = [], 1.0
        path = fetch(Source("NAR-L", "REPO"), progress)
        print("done", path.stat().st_size, told == sorted(told), *told[-1:])
        socket.socket.connect = None  # now it is here, without any network
        print(fetch(Source("NAR-L", "REPO"), progress) == path)
    """).replace("REPO", REPO)
    environment = {
        **os.environ,
        "HF_ENDPOINT": address,
        "HF_HOME": str(tmp_path),
        "NAR_CHECKPOINTS": str(tmp_path / "weights"),
        "NO_PROXY": "*",
    }

    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    closed, done, again = ran.stdout.splitlines()
    assert closed == "closed True"
    assert done == f"done {len(CONTENT)} True 1.0"
    assert again == "True"
    assert asked[0] == 0
    assert len(asked) == 2
    assert 0 < asked[1] < len(CONTENT)
    assert (tmp_path / "weights" / "NAR-L" / "any.pt").read_bytes() == CONTENT
    there = {p.name for p in (tmp_path / "weights" / "NAR-L").iterdir()}
    assert there == {"any.pt", "any.pt.sha256"}
