"""PgBouncer in front of a server: what a worker gets of PostgreSQL where a pool stands in between."""

import os
import pwd
import shutil
import signal
import socket
from pathlib import Path
from typing import Literal

from worker.embedded.child import Account, Launch
from worker.embedded.loopback import HOST, LoopbackServer

_CONFIGURATION = """\
[databases]
* = host={host} port={server_port} user=postgres
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {sessions}
"""


class Pooler(LoopbackServer):
    """A PgBouncer that trusts everybody on this machine.

    Args:
        directory: Folder of its configuration and its log. For root, `nobody` runs it.
        server_port: Port of the PostgreSQL server behind it.
        mode: When a session of the server goes to another client: after its session, or after a transaction.
        sessions: Sessions of each database.
    """

    _title = "PgBouncer"
    _stop_signal = signal.SIGQUIT

    def __init__(
        self, directory: Path, server_port: int, mode: Literal["session", "transaction"], sessions: int = 4
    ) -> None:
        nobody = pwd.getpwnam("nobody")
        account = Account(nobody.pw_uid, nobody.pw_gid, ()) if os.geteuid() == 0 else Account()
        log = directory / "pooler.log"
        super().__init__(Launch(directory, log, account), log, None, ())
        self._wanted = {"server_port": server_port, "mode": mode, "sessions": sessions}

    def url_of(self, server_url: str) -> str:
        """Return the URL that leads to a database of the server by way of the pool."""
        return f"postgresql://postgres@{HOST}:{self.port}/{server_url.rpartition('/')[2]}"

    def _command(self) -> list[str]:
        configuration = self._launch.cwd / "pgbouncer.ini"
        configuration.write_text(_CONFIGURATION.format(host=HOST, port=self.port, **self._wanted))
        configuration.parent.chmod(0o755)
        return [shutil.which("pgbouncer") or "pgbouncer", configuration.name]

    def _answers(self) -> bool:
        with socket.socket() as link:
            return link.connect_ex((HOST, self.port)) == 0
