#!/bin/sh
# Makes, on Debian and Ubuntu, a Python environment for runs on many ranks, from MPI, mpi4py, PETSc and petsc4py of the system:
#
#     sh hpc/mpi-environment.sh [FOLDER]        (.venv-mpi by default)
#
# On a cluster, MPI is the cluster's own: hpc/README.md says what to do there.
set -eu
venv=${1:-.venv-mpi}
python=/usr/bin/python3 # the one that the packages of the system are for
root=$(cd "$(dirname "$0")/.." && pwd)

sh "$root/hpc/system-packages.sh" mpi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "ablationsim needs Python 3.11 or newer; $python, for which the system has mpi4py and petsc4py, is $("$python" --version)." >&2
    exit 1
}

# petsc4py lies beside PETSc, where Python only looks if it is told to. The build for real numbers is the one to take.
petsc=""
for folder in /usr/lib/petscdir/petsc*/*-real/lib/python3/dist-packages; do
    [ -d "$folder/petsc4py" ] && petsc=$folder
done
[ -n "$petsc" ] || { echo "No petsc4py for real numbers in /usr/lib/petscdir: is python3-petsc4py-real installed?" >&2; exit 1; }

"$python" -m venv --system-site-packages "$venv"
echo "$petsc" >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/petsc.pth"

# The petsc4py of the system works with the numpy that it was compiled for. Newer pyarrow refuses NumPy 1 without saying so to pip.
if "$python" -c 'import numpy, sys; sys.exit(not numpy.__version__.startswith("1."))'; then
    set -- "numpy<2" "pyarrow<26"
else
    set -- "numpy>=2"
fi
"$venv/bin/python" -m pip install --quiet --editable "${root}[mpi]" "$@"
"$venv/bin/ablationsim" doctor
