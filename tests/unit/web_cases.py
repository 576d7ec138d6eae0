"""A web server on this machine, and the command that downloads from it."""

import contextlib
import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from experiments.cli import main


class Server(ThreadingHTTPServer):
    """Gives bytes by path; an int is a status, a text another address, a function writes for itself."""

    def __init__(self):
        self.answers, self.asked, self.n_sent = {}, [], 0
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"

    def give(self, contents):
        """Serve the files of a data set, gzipped, without their folder."""
        self.answers |= {f"{name.rpartition('/')[2]}.gz": gzip.compress(content) for name, content in contents.items()}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        self.server.asked.append(name)
        answer = self.server.answers.get(name, 404)
        if callable(answer):
            answer(self)
        elif isinstance(answer, int):
            self.send_error(answer)
        elif isinstance(answer, str):
            self.answer(302, b"", Location=answer)
        else:
            self.answer(200, answer, Content_Length=len(answer))

    def answer(self, status, content, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(monkeypatch):
    """A server that runs within the block, and is asked directly."""
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def fetching(server, folder, capsys):
    """Function that runs `stigmergy fetch-data` with this server; returns exit code, output and errors."""

    def run(*flags):
        code = main(["fetch-data", "mnist", "--data", str(folder), "--url", server.url, *flags])
        return code, *capsys.readouterr()

    return run


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
