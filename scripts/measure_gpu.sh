#!/usr/bin/env bash
# Measures this project on one GPU, in one command within eight minutes: whether
# attention in one kernel is exact, steps of Model Garden's vit and of ours,
# plain and fused, PyTorch's, and how fast the card multiplies.
#
#   scripts/measure_gpu.sh --freeze  write the programs; needs TensorFlow, no GPU
#   scripts/measure_gpu.sh OUTPUT    measure; writes CSV files (default: $OUT,
#                                    or gpu_figures)
#
# Programs that are not in FROZEN=frozen_gpu yet are written first, which takes
# minutes more, into FROZEN.part until they are whole. PYTHON=python3 has JAX,
# and PyTorch with timm (without, the rows of PyTorch are left out, and it is
# said); TENSORFLOW_PYTHON=.venv/bin/python has this project. CAPABILITY=9.0 is
# that of the GPU. Whatever a part of it fails with, the others are measured, and
# the exit status is 1; what all of them say is in OUTPUT/measure.log too. A
# second run into OUTPUT replaces the first. SECONDS_LIMIT=470 ends it: what
# matters least comes last. TINY=1 takes a small model on a CPU, whose attention
# is always plain, to try the script: frozen_tiny and tiny_figures.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
TENSORFLOW_PYTHON=${TENSORFLOW_PYTHON:-.venv/bin/python}
SECONDS_LIMIT=${SECONDS_LIMIT:-470}
kind=gpu
# Side of the images, px; images of a step; layouts.
sizes=(224:256:B12,B6-6,B4-4-4 384:64:B12,B4-4-4)
pooled_layout=B4-4-4
model=vit-b16
capability=${CAPABILITY-9.0}
parity=()
timing=(--rounds=3 --steps=8)
# XLA measures kernels one at a time, and all else of compiling in threads.
threads=12
peak=()
if [[ -n "${TINY:-}" ]]; then
  echo "TINY: a CPU has no kernel of attention. All programs attend plainly."
  export JAX_PLATFORMS=cpu
  kind=tiny
  sizes=(32:2:B2,B1-1 48:2:B1-1)
  pooled_layout=B6-6
  model=vit-ti16
  capability=
  parity=(--longest=50)
  timing=(--rounds=2 --steps=1)
  threads=2
  peak=(--tokens=64 --peak=64 --products=2 --rounds=1)
fi

FROZEN=${FROZEN:-frozen_$kind}
# What the programs are of; written beside them when they are whole.
contents="$model; ${sizes[*]}; capability ${capability:-none, a CPU}"
only_freeze=false
output=${OUT:-${kind}_figures}
case "${1:-}" in
  -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' scripts/measure_gpu.sh
     exit 0 ;;
  --freeze) only_freeze=true ;;
  -*) echo "error: unknown argument $1: use --freeze, or name a folder." >&2
      exit 2 ;;
  ?*) output=$1 ;;
esac

if (($# > 1)); then
  echo "error: unknown argument $2: there is one, --freeze or a folder." >&2
  exit 2
fi

# Ends this where a Python of ours does not run.
check_python() {
  local name=$1 python=${!1} library=$2
  if ! "$python" -c "import $library" 2> /dev/null; then
    echo "error: $name=$python does not run with $library. Set $name to a" \
      "Python that has it." >&2
    exit 1
  fi
}

freeze() {
  "$TENSORFLOW_PYTHON" -m official_ext.benchmarks.freeze_step \
    --capability="$capability" "$@"
}

if ! "$only_freeze"; then
  if [[ -z "${TINY:-}" ]] && ! command -v nvidia-smi > /dev/null; then
    echo "error: without nvidia-smi there is no NVIDIA GPU. TINY=1 tries this" \
      "on a CPU." >&2
    exit 1
  fi
  check_python PYTHON jax
fi
if [[ -e "$FROZEN/complete" ]]; then
  if [[ "$(< "$FROZEN/complete")" != "$contents" ]]; then
    echo "error: $FROZEN has other programs than are to be measured" \
      "($contents). Remove it, or name another: FROZEN=..." >&2
    exit 1
  fi
else
  if [[ -e "$FROZEN" ]]; then
    echo "error: $FROZEN is incomplete. Remove it, or name another: FROZEN=..." \
      >&2
    exit 1
  fi
  check_python TENSORFLOW_PYTHON tensorflow
  # Whole, or not there: what was left of another time is written anew.
  unfinished=$FROZEN.part
  rm -rf "$unfinished"
  mkdir -p "$unfinished"
  freeze --parity "${parity[@]}" --output="$unfinished/attention"
  for one in "${sizes[@]}"; do
    IFS=: read -r size batch layouts <<< "$one"
    for attention in auto plain; do
      freeze --layouts="$layouts" --model_name="$model" \
        --image_size="$size" --batch_size="$batch" --modes=train,eval \
        --params_override="task.model.backbone.funnel_vit.fast_path.attention=$attention" \
        --output="$unfinished/$size/$attention"
    done
    # Model Garden's is the same in both.
    rm -r "$unfinished/$size/plain/vit-"*
  done
  echo "$contents" > "$unfinished/complete"
  mv -T "$unfinished" "$FROZEN"
fi
if "$only_freeze"; then
  exit 0
fi

mkdir -p "$output"
# Of an earlier run, none of which may be taken for this one's.
log=$output/measure.log
rm -f "$log" "$output"/{parity,peak,train,eval,peers_train,peers_eval}.csv
SECONDS=0
failed=()
# Runs a part of the whole, whatever became of the others.
part() {
  local name=$1 left=$((SECONDS_LIMIT - SECONDS))
  shift
  echo "== $name, $SECONDS s" | tee -a "$log"
  if ((left <= 0)) || ! timeout "$left" "$@" 2>&1 | tee -a "$log"; then
    failed+=("$name")
  fi
}
# Of each size Model Garden's first: the others are compared with it.
steps() {
  local mode=$1 one size folders=()
  for one in "${sizes[@]}"; do
    size=${one%%:*}
    folders+=("$FROZEN/$size/auto/vit-$mode" "$FROZEN/$size/"*/B*-"$mode")
  done
  part "$mode" "$PYTHON" scripts/run_frozen_steps.py time "${folders[@]}" \
    "${timing[@]}" --compile_threads="$threads" --output_csv="$output/$mode.csv"
}
# One layout alone: each compiles for half a minute.
peers() {
  local mode=$1 one size batch pairs=()
  for one in "${sizes[@]}"; do
    IFS=: read -r size batch _ <<< "$one"
    pairs+=("$size:$batch")
  done
  part "peers_$mode" "$PYTHON" official_ext/benchmarks/torch_peers.py \
    --modes="$mode" --sizes="$(IFS=,; echo "${pairs[*]}")" \
    --layouts="$pooled_layout" --model_name="$model" "${timing[@]}" \
    --output_csv="$output/peers_$mode.csv"
}

date > "$log"
if command -v nvidia-smi > /dev/null; then
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv 2>&1 \
    | tee -a "$log" || true
fi
# Said first, so that it can be mended, and last.
no_peers=
if ! error=$("$PYTHON" -c 'import timm, torch' 2>&1 > /dev/null); then
  no_peers="not measured: peers: $PYTHON has no timm with PyTorch"
  no_peers+=" (${error##*$'\n'})"
  echo "$no_peers" | tee -a "$log"
fi
part parity "$PYTHON" scripts/check_frozen_attention.py "$FROZEN"/attention/* \
  --compile_threads="$threads" --output_csv="$output/parity.csv"
part peak "$PYTHON" scripts/measure_matmul_peak.py "${peak[@]}" \
  --output_csv="$output/peak.csv"
for mode in train eval; do
  steps "$mode"
  if [[ -z "$no_peers" ]]; then
    peers "$mode"
  fi
done

echo "wrote $output in $SECONDS s" | tee -a "$log"
if [[ -n "$no_peers" ]]; then
  echo "$no_peers" | tee -a "$log"
fi
if ((${#failed[@]})); then
  echo "failed, or no time was left: ${failed[*]}" | tee -a "$log" >&2
  exit 1
fi
