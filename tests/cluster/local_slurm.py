"""A real Slurm on one machine for tests: three daemons on loopback in a folder of their own; no root, no systemd."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

ENDED = (
    "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE",
)  # fmt: skip
CORES = 4
"""How many the node says to have, however many there are."""

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
# A job that is put back into the queue waits until its credential expires: 5 s is the least that is accepted.
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType={tracking}
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
# Listen on loopback only.
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AccountingStorageType=accounting_storage/none
MinJobAge=3600
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
ReturnToService=2
KillWait=5
SlurmctldTimeout=30
SlurmdTimeout=60
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 NodeHostname={host} CPUs={cores} Boards=1 SocketsPerBoard=1 CoresPerSocket={cores} \
ThreadsPerCore=1 RealMemory=8192 State=UNKNOWN
PartitionName=low  Nodes={host} Default=YES PriorityTier=1  PreemptMode=REQUEUE GraceTime=0 DefaultTime=10
PartitionName=high Nodes={host} Default=NO  PriorityTier=10 PreemptMode=OFF     GraceTime=0 DefaultTime=10
"""


class LocalSlurm:
    """A cluster of one node. Partition `high` preempts jobs of the default partition `low`, which are queued again.

    Parameters
    ----------
    folder : Path
        An empty folder with a short path (a socket lies in it).

    Attributes
    ----------
    environment : dict
        Environment in which `sbatch`, `srun`, `squeue` and so on speak with this cluster.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Nothing of a job that the tests themselves may be part of.
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_", "OMPI_", "PMIX_"))}
        self.environment = {
            **outside,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "OMPI_MCA_mpi_yield_when_idle": "1",  # there are fewer cores than it says
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        }
        if os.geteuid() == 0:
            self.environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def up(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not self._which(name)]
        if missing:
            raise RuntimeError(
                f"these tests need Slurm, and {', '.join(missing)} is missing: run 'make setup-test', which on Debian "
                "and Ubuntu installs it with apt"
            )
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        controller, node = _free_ports(2)
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=socket.gethostname().partition(".")[0],
                user=pwd.getpwuid(os.geteuid()).pw_name,
                controller=controller,
                node=node,
                folder=self.folder,
                tracking="proctrack/linuxproc" if os.geteuid() == 0 else "proctrack/pgid",
                cores=CORES,
            )
        )
        munge = self.folder / "munge"
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        self._start("munged", "--foreground", "--force", *(f"--{k}={munge / v}" for k, v in files.items()))
        _until(lambda: (munge / "socket").exists(), 30.0, self._why)
        self._start("slurmctld", "-D", "-c")
        self._start("slurmd", "-D")
        _until(lambda: self._node() == "idle", 60.0, self._why)

    def down(self) -> None:
        """End all jobs and the daemons that `up` has started."""
        left = self.client("squeue", "--noheader", "--format=%A", code=None).stdout.split()
        if left:
            self.client("scancel", *sorted(set(left)), code=None)
            _until(lambda: not self.client("squeue", "--noheader", code=None).stdout.strip(), 60.0, self._why)
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            daemon.wait(30.0)

    def submit(self, *words: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
        """`sbatch` with options, script and its arguments; returns the number of the job."""
        return self.client("sbatch", "--parsable", *words, cwd=cwd, environment=environment).stdout.strip()

    def client(
        self,
        *words: str | Path,
        cwd: Path | None = None,
        environment: dict[str, str] | None = None,
        code: int | None = 0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Slurm, which has to end with an exit code (None: any)."""
        done = subprocess.run(
            [str(word) for word in words],
            capture_output=True,
            text=True,
            env={**self.environment, **(environment or {})},
            cwd=cwd or self.folder,
            timeout=300.0,
        )
        said = f"{done.args} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        assert code is None or done.returncode == code, said
        return done

    def record(self, job: str) -> dict[str, str]:
        """What Slurm knows about a job, by its words: JobState, ExitCode, Restarts, StdOut ..."""
        line = self.client("scontrol", "show", "job", "--oneliner", job).stdout
        return {key: value for key, _, value in (word.partition("=") for word in line.split())}

    def state(self, job: str) -> str:
        """Such as PENDING, RUNNING, COMPLETED."""
        return self.record(job)["JobState"]

    def wait(self, job: str, states: Sequence[str] = ENDED, seconds: float = 180.0) -> str:
        """Wait until a job is in one of some states, by default until it has ended; returns the state."""
        _until(lambda: self.state(job) in states, seconds, lambda: f"{self.record(job)}\n{self.log(job)}")
        return self.state(job)

    def log(self, job: str) -> str:
        """What a job has printed so far."""
        path = Path(self.record(job).get("StdOut", ""))
        return path.read_text() if path.is_file() else ""

    def cancel(self, job: str) -> None:
        """End a job."""
        self.client("scancel", job)

    def _which(self, name: str) -> str | None:
        return shutil.which(name, path=self.environment["PATH"])

    def _start(self, *words: str) -> None:
        # Daemons in the foreground are children, which end with the tests also when these are killed.
        with (self.folder / "daemons.log").open("ab") as log:
            command = ["setpriv", "--pdeathsig", "TERM", *words]
            self._daemons.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)
            )

    def _node(self) -> str:
        return self.client("sinfo", "--noheader", "--partition=low", "--format=%t", code=None).stdout.strip()

    def _why(self) -> str:
        logs = sorted([*self.folder.glob("*.log"), self.folder / "munge" / "log"])
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in logs if path.is_file())


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _until(holds, seconds: float, why) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds:g} s in vain:\n{why()}"
        time.sleep(0.1)
