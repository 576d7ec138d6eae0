#!/bin/sh
# A Slurm of one node in a chroot, to try the job scripts without a cluster; needs root, debootstrap and Debian packages.
#
#   one-node.sh make ROOT    install Debian 12 with Slurm into the folder ROOT
#   one-node.sh start ROOT   mount what it needs and start munge, slurmctld and slurmd
#   one-node.sh run ROOT COMMAND ...   run a command inside, e.g. sbatch
#   one-node.sh stop ROOT    end the daemons and unmount
set -eu
action=$1 root=$2
shift 2

make_root() {
    debootstrap --variant=minbase --include=python3,slurmctld,slurmd,slurm-client,munge,libpmix2 bookworm "$root"
    # Slurm loads PMIx by the name that only the development package has.
    for folder in "$root"/usr/lib/*/pmix2/lib; do
        ln -s libpmix.so.2 "$folder/libpmix.so"
    done
    mkdir -p "$root/var/spool/slurmctld" "$root/var/spool/slurmd" "$root/data"
    cat > "$root/etc/slurm/slurm.conf" <<END
ClusterName=one
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=0
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=30
NodeName=$(hostname) NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    printf 'CgroupPlugin=cgroup/v1\n' > "$root/etc/slurm/cgroup.conf"
}

start() {
    mount --bind /proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --make-rslave "$root/sys"
    mount --rbind /dev "$root/dev"
    mount --make-rslave "$root/dev"
    printf '127.0.0.1 localhost %s\n' "$(hostname)" > "$root/etc/hosts"
    install -d -o "$(id_of munge u)" -g "$(id_of munge g)" "$root/run/munge"
    chroot "$root" setpriv --reuid munge --regid munge --clear-groups munged
    chroot "$root" slurmctld
    chroot "$root" slurmd
}

id_of() { # name in the chroot, u or g
    chroot "$root" id "-$2" "$1"
}

stop() {
    for daemon in slurmd slurmctld munge/munged; do
        kill "$(cat "$root/run/$daemon.pid")" || true
    done
    sleep 1
    umount -l "$root/dev" "$root/sys" "$root/proc"
}

case $action in
    make) make_root ;;
    start) start ;;
    run) exec chroot "$root" env --chdir=/data "$@" ;;
    stop) stop ;;
    *) echo "one-node.sh: unknown action $action: make, start, run or stop" >&2; exit 64 ;;
esac
