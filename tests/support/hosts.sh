#!/bin/bash
# Several hosts on one machine: network namespaces joined by a bridge, and mpirun across them over TCP.
#
#   hosts.sh [-n HOSTS] [-r RATE] [-l] N COMMAND [ARGUMENT...]
#
#   -n HOSTS   2 to 4 hosts (2), named h1..h4; the N processes are spread over them in blocks of equal size
#   -r RATE    shape what each host sends to so much, as tc writes it: 100mbit, 1gbit
#   -l         COMMAND is a launcher: it runs once, on h1, with $HOSTS ("h1:2,h2:2") and settings for an mpirun that it starts
#
# Each host has a network and a name of its own; files and processors are shared.  mpirun itself runs on h1 and reaches
# the others through an agent that enters their namespace, where a real one would use ssh.  The command runs through
# mpi.sh, whose variables count here too.  All that was made is removed at the end, whatever happened.
#
# Exit status: that of mpi.sh; 77 with "skipped: why" where hosts cannot be made.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

die() {
    printf 'hosts.sh: %s\n' "$*" >&2
    exit 2
}

skip() {
    echo "skipped: $*"
    exit 77
}

n_hosts=2
rate=
launches=
while getopts n:r:l option; do
    case $option in
    n) n_hosts=$OPTARG ;;
    r) rate=$OPTARG ;;
    l) launches=1 ;;
    *) die "usage: hosts.sh [-n HOSTS] [-r RATE] [-l] N COMMAND [ARGUMENT...]" ;;
    esac
done
shift $((OPTIND - 1))
[[ $n_hosts =~ ^[2-4]$ ]] || die "-n is '$n_hosts', it must be 2 to 4"
[ $# -ge 2 ] || die "usage: hosts.sh [-n HOSTS] [-r RATE] N COMMAND [ARGUMENT...]"
n=$1
[[ $n =~ ^[1-9][0-9]*$ ]] || die "'$n' is not a number of processes"

for program in ip mpirun unshare nsenter tc; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
[ "$(id -u)" -eq 0 ] || skip "making hosts needs root"
work=$(mktemp -d /tmp/weir-hosts.XXXXXX)
tag=w$$ # of the names of namespaces and interfaces: other runs may have hosts too
subnet=10.$((64 + $$ % 64)).$(($$ / 64 % 256))

# h0 holds the bridge, so that nothing of the machine's own network is touched
# shellcheck disable=SC2317 # called by the trap
hosts_close() {
    for i in $(seq 0 "$n_hosts"); do
        ! ip netns list 2>/dev/null | grep -q "^$tag-h$i\b" || ip netns del "$tag-h$i"
    done
    rm -rf "$work"
}
trap hosts_close EXIT
trap 'exit 130' INT TERM HUP

on() { # HOST COMMAND...: in its network only
    local host=$1
    shift
    nsenter --net="/run/netns/$tag-$host" "$@"
}

host_open() { # NUMBER
    ip netns add "$tag-h$1"
    on "h$1" ip link set lo up
    on h0 ip link add "$tag-$1" type veth peer name eth0 netns "/run/netns/$tag-h$1"
    on h0 ip link set "$tag-$1" master br0 up
    on "h$1" ip addr add "$subnet.$1/24" dev eth0
    on "h$1" ip link set eth0 up
    if [ -n "$rate" ]; then
        on "h$1" tc qdisc add dev eth0 root tbf rate "$rate" burst 256kb latency 200ms
    fi
}

hosts_open() {
    ip netns add "$tag-h0"
    on h0 ip link add br0 type bridge
    on h0 ip link set br0 up
    for i in $(seq 1 "$n_hosts"); do
        host_open "$i"
        echo "$subnet.$i h$i" >>"$work/hosts"
    done
}

if ! reason=$(hosts_open 2>&1); then
    skip "network namespaces cannot be made: ${reason//$'\n'/ }"
fi

# The agent: mpirun's command for another host runs there, with its name and names.  Mounts are private to it.
cat >"$work/agent" <<END
#!/bin/sh
host=\$1
shift
exec nsenter --net="/run/netns/$tag-\$host" unshare --uts --mount bash -c '
    mount --bind "$work/hosts" /etc/hosts && hostname "\$0" && exec bash -c "\$1"' "\$host" "\$*"
END
chmod +x "$work/agent"
echo "127.0.0.1 localhost" >>"$work/hosts"

slots=$(((n + n_hosts - 1) / n_hosts))
list=$(seq -s, -f "h%g:$slots" 1 "$n_hosts")
export MPI_ARGS="--mca plm_rsh_agent $work/agent --mca plm rsh --mca pml ob1 --mca btl self,tcp,vader
    --mca btl_tcp_if_include $subnet.0/24 --mca oob_tcp_if_include $subnet.0/24 -H $list ${MPI_ARGS:-}"
command=("$here/mpi.sh" "$@")
if [ -n "$launches" ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
    export OMPI_MCA_orte_tmpdir_base=$work OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_plm=rsh OMPI_MCA_plm_rsh_agent=$work/agent
    export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,tcp,vader OMPI_MCA_btl_tcp_if_include=$subnet.0/24 OMPI_MCA_oob_tcp_if_include=$subnet.0/24
    export HOSTS=$list
    command=("${@:2}")
fi
status=0
"$work/agent" h1 "$(printf '%q ' "${command[@]}")" || status=$?
exit "$status"
