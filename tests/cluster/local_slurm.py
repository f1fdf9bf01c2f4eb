"""A real SLURM of one node on this machine: own ports, key and directory, nothing left behind.

Its GPUs are null devices of the type "fake", which SLURM allocates as it does real ones.
"""

import os
import platform
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["local_slurm", "reason_against"]

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "srun", "setpriv")
GPUS = 2
NODE = platform.node().partition(".")[0]
# More processors and memory than there may be: what is asked for is tested, not what is used.
SETTINGS = """
ClusterName=tests
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
MinJobAge=3600
KillWait=5
ReturnToService=2
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs=8 RealMemory=200000 Gres=gpu:fake:{gpus}
PartitionName=cpu Nodes={node} Default=YES MaxTime=INFINITE
PartitionName=gpu Nodes={node} MaxTime=1440
"""


def reason_against() -> str | None:
    """Return why no SLURM can be brought up here, if so."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no {missing[0]}: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "not root: SLURM starts jobs, and fake GPUs are devices"
    with tempfile.TemporaryDirectory() as name:
        try:
            _fake_gpu(Path(name) / "gpu")
        except OSError as error:
            return f"no fake GPUs: {error}"
    return None


@contextmanager
def local_slurm() -> Iterator[dict[str, str]]:
    """Bring SLURM up and take it down; yields the environment in which commands reach it."""
    # Not in pytest's directory: the path of a socket has a hundred characters at most.
    with tempfile.TemporaryDirectory(prefix="fewstep-slurm-") as name, ExitStack() as stack:
        root = Path(name)
        environment = _configure(root)
        daemons = [
            stack.enter_context(_running(name, command, root, environment))
            for name, command in _daemons(root).items()
        ]
        _wait_for_node(root, daemons, environment)
        stack.callback(_end_jobs, environment)
        yield environment


def _configure(root: Path) -> dict[str, str]:
    """Write SLURM's files; returns the environment that points to them."""
    root.chmod(0o711)  # munge asks for it
    for name in ("state", "spool", "bin"):
        (root / name).mkdir()
    key = root / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    for k in range(GPUS):
        _fake_gpu(root / f"gpu{k}")
    controller_port, node_port = _free_ports(2)
    ports = {"controller_port": controller_port, "node_port": node_port}
    (root / "slurm.conf").write_text(SETTINGS.format(node=NODE, root=root, gpus=GPUS, **ports))
    devices = f"{root}/gpu[0-{GPUS - 1}]"
    (root / "gres.conf").write_text(
        f"NodeName={NODE} Name=gpu Type=fake File={devices} Flags=nvidia_gpu_env\n"
    )
    conf = f"SLURM_CONF={root}/slurm.conf"
    # The executor takes SLURM's variables from the environment of the job's srun.
    _script(root / "bin/srun", f'{conf} exec {shutil.which("srun")} "$@"')
    # There is no accounting to ask whether an account exists.
    _script(root / "bin/sacctmgr", "echo tests")
    path = f"{root}/bin:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "SLURM_CONF": f"{root}/slurm.conf"}


def _fake_gpu(path: Path) -> None:
    """Make a second /dev/null."""
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]


def _daemons(root: Path) -> dict[str, list[str]]:
    munge = {
        "key-file": "munge.key",
        "socket": "munge.socket",
        "pid-file": "munged.pid",
        "log-file": "munged.log",
        "seed-file": "munge.seed",
    }
    files = [f"--{option}={root / name}" for option, name in munge.items()]
    return {
        "munged": ["munged", "--foreground", *files],
        "slurmctld": ["slurmctld", "-D"],
        "slurmd": ["slurmd", "-D", "-N", NODE],
    }


@contextmanager
def _running(
    name: str, command: list[str], root: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen]:
    """Run a daemon, which ends with this block, and also if this process is killed."""
    with (root / f"{name}.out").open("w") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command], env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_node(
    root: Path, daemons: list[subprocess.Popen], environment: dict[str, str]
) -> None:
    """Wait until the node takes jobs.

    Raises:
        RuntimeError: It does not within a minute, or a daemon has ended; with what they said.
    """
    command = ["timeout", "10", "sinfo", "--noheader", "--format=%T"]
    for _ in range(60):
        if any(daemon.poll() is not None for daemon in daemons):
            break
        state = subprocess.run(command, env=environment, capture_output=True, text=True)
        if "idle" in state.stdout:
            return
        time.sleep(0.5)
    said = "\n".join(path.read_text()[-1000:] for path in sorted(root.glob("*.out")))
    raise RuntimeError(f"the local SLURM does not come up\n{said}")


def _end_jobs(environment: dict[str, str]) -> None:
    """Cancel all jobs and wait until their processes are gone."""
    subprocess.run(["scancel", "--user=root", "--full"], env=environment, timeout=60)
    command = ["squeue", "--noheader"]
    for _ in range(60):
        left = subprocess.run(command, env=environment, capture_output=True, timeout=60)
        if not left.stdout:
            return
        time.sleep(0.5)
