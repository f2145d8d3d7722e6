#!/bin/sh
# Installs, on Debian and Ubuntu, the system packages that ablationsim needs and that are missing:
#
#     sh hpc/system-packages.sh [mpi] [slurm] [browser]
#
# Without an argument, what every run needs: the venv module of Python, the X and OpenGL libraries that gmsh is linked to, and EGL with a
# software renderer, with which VTK draws (no display is needed). With mpi also MPI and PETSc for real numbers, which has hypre; with slurm
# also the daemons of Slurm, which tests start for themselves; with browser Chromium and its driver, with which tests look at pages.
set -eu

packages="python3-venv libglu1-mesa libxcursor1 libxft2 libxinerama1 libxfixes3 libxrender1 libgomp1 libgl1 libegl1 libgl1-mesa-dri"
for group in "$@"; do
    case $group in
        mpi) packages="$packages openmpi-bin python3-mpi4py python3-petsc4py-real" ;;
        browser) packages="$packages chromium chromium-driver" ;;
        slurm) packages="$packages munge slurmctld slurmd slurm-client" ;;
        *) echo "system-packages.sh: '$group' is none of mpi, slurm, browser" >&2; exit 2 ;;
    esac
done

if ! command -v apt-get >/dev/null; then
    echo "No apt-get here: install the equivalents of these Debian packages if 'ablationsim doctor' asks for them: $packages"
    exit 0
fi

missing=""
for package in $packages; do
    status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Please install as root: apt-get install$missing" >&2; exit 1; }
    sudo="sudo"
fi
echo "Installing system packages with apt:$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086  # a list of packages
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
