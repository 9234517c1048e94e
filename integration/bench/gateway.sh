#!/usr/bin/env bash
# The gateway's own figures, beside the disk's in the same run: gateway.sh <path of the binary sluice>
set -euo pipefail
sluice=$1
folder=$(mktemp -d "${BENCH_DIR:-$PWD}/bench.XXXXXX")
gateway=
trap 'if [ -n "$gateway" ]; then kill "$gateway" 2>/dev/null; wait "$gateway" 2>/dev/null || true; fi; rm -rf "$folder"' EXIT

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
grpc=$(port) http=$(port)
export SLUICE_ENDPOINT=http://127.0.0.1:$grpc

data=$folder/data

resident() { awk '/VmRSS/ {print int($2 / 1024)}' "/proc/$gateway/status"; }

start() {
  local begin end
  begin=$(date +%s%N)
  env -u SLUICE_ENDPOINT "$sluice" serve --listen "127.0.0.1:$grpc" --http-listen "127.0.0.1:$http" --data-dir "$data" --log-level warn &
  gateway=$!
  until curl -sf "http://127.0.0.1:$http/health" >/dev/null; do sleep 0.02; done
  end=$(date +%s%N)
  echo "start to ready: $(((end - begin) / 1000000)) ms; resident: $(resident) MiB"
}

stop() { kill "$gateway"; wait "$gateway" || true; gateway=; }

echo "== empty gateway"
start
echo "== 100-byte events"
"$sluice" bench --events "${EVENTS_100:-20000000}" --event-bytes 100 --segments 2
echo "== 1-KiB events"
"$sluice" bench --events "${EVENTS_1K:-3000000}" --event-bytes 1024 --segments 2
echo "== syncs of 10 s of writing"
if command -v strace >/dev/null; then
  strace -f -c -e trace=fdatasync,pwritev,pwrite64,fsync -p "$gateway" -o "$folder/strace" & tracer=$!
  sleep 1
  "$sluice" bench --events "${EVENTS_TRACED:-5000000}" --event-bytes 100 --segments 2 >/dev/null
  kill -INT "$tracer"; wait "$tracer" || true
  cat "$folder/strace"
else
  echo "strace is not installed"
fi
stop
echo "== restart over what was written"
start
stop
echo "== start over ${EMPTY_STREAMS:-10000} empty streams: after SIGTERM, after SIGKILL, with the index built again"
data=$folder/streams
start
"$sluice" bench --empty-streams "${EMPTY_STREAMS:-10000}"
stop
start
kill -9 "$gateway"; wait "$gateway" 2>/dev/null || true; gateway=
start
stop
rm -rf "$data/index"
start
sleep 5
echo "resident after 5 s without work: $(resident) MiB"
stop
