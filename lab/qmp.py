"""The monitor of a QEMU process: QMP over a socket."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from lab.common import Died, LabError


def connect(directory: str, name: str) -> socket.socket:
    """Connect to the socket *name* in a directory. :raises OSError: nobody listens there yet"""
    connection = socket.socket(socket.AF_UNIX)
    try:
        # By way of the directory: a path of a socket may not be longer than 107 bytes.
        there = os.open(directory, os.O_RDONLY)
        try:
            connection.connect(f"/proc/self/fd/{there}/{name}")
        finally:
            os.close(there)
    except BaseException:
        connection.close()
        raise
    return connection


class Monitor:
    """Runs commands."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("r", encoding="utf-8")
        self._answers.readline()
        self.run("qmp_capabilities")

    def run(self, command: str, **arguments: Any) -> Any:
        """Run a command; return its answer.

        :raises LabError: QEMU refuses it
        :raises Died: QEMU has ended
        """
        self._connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            line = self._answers.readline()
            if not line:
                raise Died(f"the machine went down while waiting for {command}")
            answer = json.loads(line)
            if "error" in answer:
                raise LabError(f"{command}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]

    def close(self) -> None:
        """Close the connection."""
        self._answers.close()
        self._connection.close()
