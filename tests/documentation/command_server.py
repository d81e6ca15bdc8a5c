"""fairseq's commands and Python without their start-up time, for blocks of documentation that run in a real shell.

One process imports everything, then forks for every command that a small stand-in (``fairseq-train``, ``python``, … in
a folder at the front of PATH) passes on to it with its arguments, environment and standard streams. Training and
translations, which nearly untrained models hardly end, are cut short with :data:`LIMITS`; nothing else differs from
the commands themselves.
"""

import array
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Dict, List

# Without hydra-train, which is run itself: hydra offers other choices where the plugin was imported before it starts.
COMMANDS = ("train", "generate", "interactive", "validate", "preprocess", "score", "eval-lm")
LIMITS: Dict[str, List[str]] = {
    "fairseq-train": ["--max-update", "2", "--num-workers", "0"],
    "fairseq-generate": ["--max-len-b", "20", "--num-workers", "0"],
    "fairseq-interactive": ["--max-len-b", "20"],
    "rnn_s2s_plugin.inspect show": ["--max-len-b", "20"],
    "fairseq-validate": ["--num-workers", "0"],
    "fairseq-eval-lm": ["--num-workers", "0"],
}

STAND_IN = """#!{python} -SE
import array, json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
message = json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
streams = array.array("i", [0, 1, 2])
server.sendmsg([len(message).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
server.sendall(message)
sys.exit(int(server.recv(8) or b"99"))
"""


class CommandServer:
    """``with CommandServer(folder) as server: server.bash(text)``, in a folder that holds the plugin's checkout."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bin = folder / ".bin"
        self.address = str(folder / ".socket")

    def __enter__(self) -> "CommandServer":
        self.bin.mkdir()
        for name in ("python", *(f"fairseq-{command}" for command in COMMANDS)):
            (self.bin / name).write_text(STAND_IN.format(python=sys.executable, address=self.address))
            (self.bin / name).chmod(0o755)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder),
            "PATH": f"{self.bin}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "CUDA_VISIBLE_DEVICES": "",
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, self.address], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE
        )
        assert self.process.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait()

    def bash(self, text: str, timeout: float = 120) -> subprocess.CompletedProcess:
        """Runs a block, which ends at the first command that fails; output and errors are one text."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )


def serve(address: str) -> None:
    """Forks for every command; ends with its parent."""
    import torch

    import rnn_s2s_plugin.inspect.arguments  # noqa: F401

    torch.set_num_threads(1)
    for command in COMMANDS:
        importlib.import_module(f"fairseq_cli.{command.replace('-', '_')}")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    listener.settimeout(5)
    parent = os.getppid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that have ended are not waited for
    print("ready", flush=True)
    while os.getppid() == parent:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            answer(connection)
        connection.close()


def answer(connection: socket.socket) -> None:
    """In the child: becomes the command, and tells its exit status."""
    size, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_LEN(3 * array.array("i").itemsize))
    streams = array.array("i", ancillary[0][2])
    message = b""
    while len(message) < int.from_bytes(size, "big"):
        message += connection.recv(1 << 16)
    name, arguments, folder, environment = json.loads(message)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    module = " ".join(arguments[1:3]) if arguments[:1] == ["-m"] else name
    status = run(name, [*arguments, *LIMITS.get(module, [])])
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(status).encode())
    os._exit(0)


def run(name: str, arguments: List[str]) -> int:
    """Calls what the command would call; returns its exit status."""
    try:
        if name.startswith("fairseq-"):
            sys.argv = [name, *arguments]
            importlib.import_module(f"fairseq_cli.{name.removeprefix('fairseq-').replace('-', '_')}").cli_main()
        elif arguments[0] == "-m":
            sys.argv = ["", *arguments[2:]]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, str(Path(arguments[0]).parent))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
