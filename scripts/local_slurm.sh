#!/usr/bin/env bash
# Starts a one-node Slurm on this machine, from Debian's packages, to try and test the launcher.
# `up` takes seconds; `down` stops exactly what `up` started. It is not for real work: it runs as
# root, and has no accounting.
#
#   scripts/local_slurm.sh up|down|status
#
# Exit codes: 1 if something failed, 3 if Slurm is not installed and cannot be.
set -euo pipefail

MARK="# made by gofau's scripts/local_slurm.sh; \`down\` removes it"
CONF=/etc/slurm/slurm.conf
SACCT=/usr/local/bin/sacct
STATE=/run/gofau-slurm       # process numbers
SPOOL=/var/spool/gofau-slurm # state and logs of the daemons

fail() {
  echo "local_slurm: $1" >&2
  exit "${2:-1}"
}

ours() { [ -f "$1" ] && grep -qF "$MARK" "$1"; }

# Whether the recorded process is still running. Its name is compared, as numbers are reused.
alive() {
  local pid
  pid=$(cat "$STATE/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]
}

wait_for() { # seconds, command …
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.2
  done
}

answers() { [ "$(sinfo --noheader --partition=debug --states=idle,mixed,allocated --format=%D)" = 1 ]; }

install() {
  if command -v sbatch && command -v slurmctld && command -v slurmd && command -v munged; then
    return
  fi >/dev/null
  command -v apt-get >/dev/null || fail "Slurm is not installed, and there is no apt-get." 3
  local packages=(slurm-wlm munge) log
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  if ! apt-get install -y -qq --no-install-recommends "${packages[@]}" >"$log" 2>&1; then
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}"; } \
      >"$log" 2>&1 || fail "apt-get cannot install ${packages[*]}: $(tail -n 1 "$log")" 3
  fi
  rm -f "$log"
}

configure() {
  local name memory
  name=$(hostname -s)
  memory=$(awk '/^MemTotal:/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
  mkdir -p /etc/slurm
  # KillWait and GraceTime: seconds from the first signal to SIGKILL. MinJobAge: seconds for which
  # squeue, which replaces sacct here, still knows an ended job. Addresses are given so that the
  # machine's name need not resolve.
  cat >"$CONF" <<CONFIG
$MARK
ClusterName=gofau
SlurmctldHost=$name(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=512
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=2
MinJobAge=3600
SlurmctldParameters=preempt_send_user_signal
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=batch_sched_delay=0,sched_interval=2
StateSaveLocation=$SPOOL/slurmctld
SlurmdSpoolDir=$SPOOL/slurmd
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
SlurmctldLogFile=$SPOOL/slurmctld.log
SlurmdLogFile=$SPOOL/slurmd.log
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=10
PartitionName=high Nodes=ALL Default=NO MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
CONFIG
  # submitit asks sacct; without accounting it would wait forever for a job that was killed.
  cat >"$SACCT" <<SHIM
#!/usr/bin/env bash
$MARK
# sacct -o JobID,State,NodeList --parsable2 -j 1 -j 2 …, answered by the controller itself.
jobs=()
while [ \$# -gt 0 ]; do
  if [ "\$1" = -j ]; then jobs+=("\$2") && shift; fi
  shift
done
echo 'JobID|State|NodeList'
for job in "\${jobs[@]}"; do
  squeue --noheader --array --states=all --jobs="\$job" --format='%i|%T|%N' 2>/dev/null
done
exit 0
SHIM
  chmod 755 "$SACCT"
}

start() { # name, command …
  local name=$1
  shift
  if alive "$name"; then return; fi
  rm -f "$STATE/$name.pid"
  "$@" >"$SPOOL/$name.out" 2>&1 || fail "$name does not start: $(tail -n 1 "$SPOOL/$name.out")"
  wait_for 10 alive "$name" || fail "$name ended at once; its log is in $SPOOL."
}

start_munge() {
  if alive munged || munge --no-input >/dev/null 2>&1; then return; fi # one is already running
  mkdir -p /run/munge
  chown munge: /run/munge
  chmod 755 /run/munge
  if [ ! -s /etc/munge/munge.key ]; then
    (umask 077 && head -c 128 /dev/urandom >/etc/munge/munge.key && chown munge: /etc/munge/munge.key)
  fi
  runuser -u munge -- munged >"$SPOOL/munged.out" 2>&1 ||
    fail "munged does not start: $(tail -n 1 "$SPOOL/munged.out")"
  wait_for 10 munge --no-input || fail "munged does not answer."
  cp /run/munge/munged.pid "$STATE/munged.pid"
}

up() {
  [ "$(id -u)" = 0 ] || fail "only root can bring up a Slurm." 3
  install
  if [ -e "$CONF" ] && ! ours "$CONF"; then
    fail "there is already a Slurm here ($CONF); it was not changed."
  fi
  if [ -e "$SACCT" ] && ! ours "$SACCT"; then
    fail "there is already a $SACCT; it was not changed."
  fi
  if alive slurmctld && alive slurmd && answers; then
    echo "Slurm is up."
    return
  fi
  mkdir -p "$STATE" "$SPOOL/slurmctld" "$SPOOL/slurmd"
  configure
  start_munge
  start slurmctld slurmctld -c
  start slurmd slurmd
  wait_for 30 answers || fail "Slurm is up, but its node is not; the logs are in $SPOOL."
  echo "Slurm is up: $(nproc) cores, partitions debug and high."
}

stop() { # name
  alive "$1" || { rm -f "$STATE/$1.pid" && return; }
  local pid
  pid=$(cat "$STATE/$1.pid")
  kill "$pid"
  if ! wait_for 10 gone "$pid"; then kill -KILL "$pid"; fi
  rm -f "$STATE/$1.pid"
}

gone() { [ ! -d "/proc/$1" ]; }

no_jobs() { [ -z "$(squeue --noheader --format=%A)" ]; }

down() {
  [ "$(id -u)" = 0 ] || fail "only root can take it down."
  if alive slurmctld && ours "$CONF"; then
    local jobs
    # The jobs would outlive Slurm.
    jobs=$(squeue --noheader --format=%A | sort -u | tr '\n' ' ')
    # shellcheck disable=SC2086
    if [ -n "$jobs" ]; then
      scancel --signal=KILL --full $jobs 2>/dev/null || true
      scancel $jobs 2>/dev/null || true
      wait_for 15 no_jobs || echo "local_slurm: jobs $jobs do not end" >&2
    fi
  fi
  stop slurmd
  stop slurmctld
  stop munged
  if ours "$CONF"; then rm -f "$CONF"; fi
  if ours "$SACCT"; then rm -f "$SACCT"; fi
  rm -rf "$STATE" "$SPOOL"
  echo "Slurm is down."
}

status() {
  if alive slurmctld && alive slurmd && answers; then
    echo "Slurm is up."
  else
    echo "Slurm is down."
    return 1
  fi
}

case "${1:-}" in
up | down | status) "$1" ;;
*) fail "usage: scripts/local_slurm.sh up|down|status" ;;
esac
