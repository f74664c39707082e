#!/usr/bin/env bash
# On a machine with a GPU: builds the library with its backend, checks it against the CPU, and times everything, in one go.
#
#   tests/bench/gpu.sh [cuda|vulkan|wgpu] [DEVICE]      DEVICE: cuda, cuda:1, vulkan, wgpu; default: the backend itself
#
# Writes a log and a table to target/gpu/. Not yet run on a GPU: see docs/gpu.md for what was checked without one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

backend=${1:-cuda}
device=${2:-$backend}
case $backend in
  cuda) [ "$(command -v nvidia-smi)" ] || { echo "no nvidia-smi: is there an NVIDIA driver?" >&2; exit 1; } ;;
  vulkan | wgpu) [ "$(command -v vulkaninfo)" ] || echo "no vulkaninfo: cannot name the device" >&2 ;;
  *) echo "$backend is no backend: expected cuda, vulkan or wgpu" >&2; exit 1 ;;
esac
out=${CARGO_TARGET_DIR:-target}/gpu
mkdir -p "$out"
exec > >(tee "$out/log.txt") 2>&1

step() { printf '\n== %s\n' "$*"; }

step "the machine"
date -u
git rev-parse HEAD 2>/dev/null || true
[ "$backend" = cuda ] && nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv

step "build"
time cargo build --features "$backend" --examples
time cargo bench --profile dev --features "$backend" --bench peers --no-run

step "agreement with the CPU: logits, training, DP-SGD, condensation, a game"
cargo run --features "$backend" --example device_check -- "$device" cpu

step "documentation's programs of networks, training and condensation on the device"
FREELUNCH_DEVICE=$device cargo test --features "$backend" --doc -- nn:: train:: condense::

# Used memory of the device, once a second, while a long condensation runs: it must not grow with the steps.
watch_memory() {
  [ "$backend" = cuda ] || return 0
  while true; do
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits
    sleep 1
  done > "$out/memory.txt" 2>/dev/null
}

bench() { FREELUNCH_DEVICE=$1 cargo bench --profile dev --features "$backend" --bench peers -- "${@:2}"; }

step "memory over 200 steps of distribution matching"
watch_memory &
watcher=$!
bench "$device" dm_step --case paper-32x32x3-w128 --repeats 200
kill "$watcher" 2>/dev/null || true
if [ -s "$out/memory.txt" ]; then
  awk '{ used[NR] = $1 } END { half = int(NR / 2); for (i = half; i <= NR; i++) { if (low == "" || used[i] < low) low = used[i]; if (used[i] > high) high = used[i] }
    printf "second half of the run: %d to %d MiB used on the device\n", low, high }' "$out/memory.txt"
fi

step "times, on the device and on the CPU"
for where in "$device" cpu; do
  for work in dm_step gradient_matching_step dpsgd_epoch shadow_models; do
    bench "$where" "$work" --json | sed "s/^{/{\"device\":\"$where\",/" | tee -a "$out/times.jsonl"
  done
done

step "done: $out/log.txt, $out/times.jsonl"
