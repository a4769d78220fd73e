#!/bin/bash
# A small Slurm on one machine: two nodes, n1 and n2, each with a daemon of its own and two processors.
#
#   slurm.sh COMMAND [ARGUMENT...]
#
# Runs the command with SLURM_CONF set, so that it can call srun and sbatch; `$WEIR_SLURM_DIR` is a folder for it.  The
# daemons talk over the loopback, their keys, states and logs are below that folder, and all of it is ended and removed at
# the end, whatever happened.  A Slurm that the machine has already is not touched.
#
#   SLURM_TIMEOUT    seconds after which everything is ended; 120
#
# Exit status: the command's; 77 with "skipped: why" where Slurm cannot be started; 5 after the timeout.
set -euo pipefail

die() {
    printf 'slurm.sh: %s\n' "$*" >&2
    exit 2
}

skip() {
    echo "skipped: $*"
    exit 77
}

[ $# -ge 1 ] || die "usage: slurm.sh COMMAND [ARGUMENT...]"
PATH=$PATH:/usr/sbin:/sbin # where Debian has the daemons
for program in slurmctld slurmd srun sbatch munged mungekey unshare; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
[ "$(id -u)" -eq 0 ] || skip "starting Slurm's daemons needs root"
unshare --mount --uts --pid --fork --kill-child --mount-proc true 2>/dev/null ||
    skip "nodes with names, processes and mounts of their own cannot be made here"

# sockets have short paths
work=$(mktemp -d /tmp/weir-slurm.XXXXXX)
daemons=() nodes=()
# shellcheck disable=SC2317 # called by the trap
slurm_close() {
    exec 2>/dev/null # the shell says of every node that it was killed
    # a node's processes end with the first of its namespace; the others may be asked first
    for pid in "${nodes[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null || true; done
    for _ in $(seq 30); do
        alive=$(jobs -pr)
        [ -n "$alive" ] || break
        sleep 0.1
    done
    for pid in "${daemons[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap slurm_close EXIT
trap 'exit 130' INT TERM HUP

port_base=$((20000 + $$ % 20000))
host=$(hostname -s)
chmod 755 "$work"
mkdir -m 700 "$work/key"
mkdir -p "$work/munge" "$work/state" "$work/n1/tmp" "$work/n2/tmp" "$work/job"
chmod 1777 "$work/n1/tmp" "$work/n2/tmp" "$work/job"

# munged wants folders that only its user can write, socket too
mungekey --create --keyfile="$work/key/munge.key"
munged --foreground --force --key-file="$work/key/munge.key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
    --log-file="$work/munge/log" --seed-file="$work/munge/seed" >"$work/munge.out" 2>&1 &
daemons+=($!)

printf '127.0.0.1 localhost %s n1 n2\n' "$host" >"$work/hosts"
# TmpFS: PMIx makes folders there, under names that are the same on both nodes
cat >"$work/slurm.conf" <<END
ClusterName=weir
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port_base
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CryptoType=crypto/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/%n/spool
TmpFS=$work/%n/tmp
SlurmctldPidFile=$work/state/pid
SlurmdPidFile=$work/%n/pid
SlurmctldLogFile=$work/state/log
SlurmdLogFile=$work/%n/log
SlurmdParameters=config_overrides
KillWait=2
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port_base + 1)) CPUs=2 State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port_base + 2)) CPUs=2 State=UNKNOWN
PartitionName=all Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$work/slurm.conf WEIR_SLURM_DIR=$work/job

for _ in $(seq 100); do
    [ ! -S "$work/munge/socket" ] || break
    sleep 0.1
done
slurmctld -D >"$work/state/out" 2>&1 &
daemons+=($!)
# each node has a name, processes and shared memory of its own, or MPI's processes would take those of both for neighbours
for i in 1 2; do
    unshare --mount --uts --pid --fork --kill-child --mount-proc sh -c "mount --bind '$work/hosts' /etc/hosts && mount -t tmpfs tmpfs /dev/shm && hostname n$i &&
        exec slurmd -D -N n$i" >"$work/n$i/out" 2>&1 &
    nodes+=($!)
done
ready() {
    [ "$(sinfo --noheader --states=idle --Format=nodes 2>/dev/null | tr -d ' ')" = 2 ]
}
for _ in $(seq 200); do
    ! ready || break
    sleep 0.1
done
if ! ready; then
    tail -n 5 "$work"/munge.out "$work"/n?/out "$work"/state/log "$work"/n?/log >&2 || true
    skip "Slurm's nodes did not come up"
fi

status=0
timeout --kill-after=10 "${SLURM_TIMEOUT:-120}" "$@" </dev/null || status=$?
if [ "$status" -eq 124 ]; then
    printf 'slurm.sh: not finished after %s s\n' "${SLURM_TIMEOUT:-120}" >&2
    exit 5
fi
exit "$status"
