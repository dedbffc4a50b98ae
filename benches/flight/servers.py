"""Server processes over the TPC-H world, and what they cost."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import trustme

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "tpch"
PASSWORD = "tpch"


def cpu_seconds(pid):
    """CPU seconds of a process, all threads that ever were, in nanoseconds' resolution.

    Linux gives every process a clock; its id is made from the process id (clock_getcpuclockid).
    """
    return time.clock_gettime((~pid << 3) | 2)


class World:
    """A copy of `examples/tpch` that a server can run on: with keys, passwords and its rows."""

    def __init__(self, folder, scrim, data, environment):
        self.folder = pathlib.Path(folder)
        self.scrim = scrim
        if not (data / environment).is_dir():
            scale = environment.removeprefix("sf")
            raise SystemExit(f"{data / environment} is missing; make it: cargo x tpch {scale}")
        skip = shutil.ignore_patterns("data", "ledger", "keys.json")
        shutil.copytree(EXAMPLE, self.folder, dirs_exist_ok=True, ignore=skip)
        (self.folder / "data").symlink_to(data)
        self._run("keys", "new", "--file", self.folder / "keys.json")
        hashed = self._run("accounts", "hash", "--password-stdin", input=PASSWORD).strip()
        accounts = self.folder / "accounts.yaml"
        accounts.write_text(accounts.read_text().replace("HASH", hashed))
        self.environment = environment

    def configure(self, name, ledger, tls=False, limits=None):
        """Writes a configuration and returns its path; `limits` replace those of the example."""
        text = (self.folder / "scrim.yaml").read_text()
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", text)
        text = re.sub(r"(?m)^environment: \S+", f"environment: {self.environment}", text)
        text = re.sub(r"(?m)^ledger: .*$", f"ledger: {{path: {ledger}}}", text)
        for limit, value in (limits or {}).items():
            text = re.sub(rf"\b{limit}: \w+", f"{limit}: {value}", text)
        if tls:
            self._certificate()
            text += "tls: {cert: server.pem, key: server.key}\n"
        path = self.folder / f"{name}.yaml"
        path.write_text(text)
        return path

    def certificate(self):
        """The certificate of the authority that the clients trust."""
        return (self.folder / "authority.pem").read_text()

    def _certificate(self):
        authority = trustme.CA()
        leaf = authority.issue_cert("localhost", "127.0.0.1")
        leaf.private_key_pem.write_to_path(self.folder / "server.key")
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        (self.folder / "server.pem").write_bytes(chain)
        authority.cert_pem.write_to_path(self.folder / "authority.pem")

    def _run(self, *arguments, **options):
        done = subprocess.run(
            [self.scrim, *map(str, arguments)],
            cwd=self.folder, text=True, capture_output=True, **options,
        )
        if done.returncode != 0:
            raise SystemExit(f"scrim {' '.join(map(str, arguments))} failed: {done.stderr}")
        return done.stdout


class Server:
    """One `scrim serve`."""

    def __init__(self, world, config, tls=False):
        with open(world.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [world.scrim, "serve", "--config", str(config)],
                stdout=subprocess.PIPE, stderr=log, text=True,
            )
        address = re.search(r"127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        if address is None:
            log = (world.folder / "server.log").read_text(errors="replace")
            raise SystemExit(f"the server did not start:\n{log}")
        scheme, host = ("grpc+tls", "localhost") if tls else ("grpc", "127.0.0.1")
        self.url = f"{scheme}://{host}:{address.group(1)}"
        self.certificate = world.certificate() if tls else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        finally:
            self.process.kill()

    @property
    def cpu(self):
        """CPU seconds so far."""
        return cpu_seconds(self.process.pid)

    def memory(self):
        """Resident and peak resident bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        kib = lambda name: int(re.search(rf"{name}:\s+(\d+)", status).group(1)) * 1024
        return kib("VmRSS"), kib("VmHWM")

    def forget_peak(self):
        """Lets the peak begin anew at what is resident now."""
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


class Engine:
    """Plain DataFusion in a process of its own, which runs one statement a line."""

    def __init__(self, program, rows, lookups):
        self.process = subprocess.Popen(
            [program, str(rows), str(lookups)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=30)

    @property
    def cpu(self):
        """CPU seconds so far."""
        return cpu_seconds(self.process.pid)

    def run(self, sql):
        """Runs a statement and returns its number of rows."""
        self.process.stdin.write(" ".join(sql.split()) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer.isdigit():
            raise SystemExit(f"the engine refused {sql!r}: {answer}")
        return int(answer)


def nproc():
    """Cores that we may use."""
    return len(os.sched_getaffinity(0))
