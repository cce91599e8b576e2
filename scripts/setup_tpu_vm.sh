#!/usr/bin/env bash
# Sets up a Cloud TPU VM: a Python environment with tensorflow-tpu and the rest
# of requirements/lock.txt, and the variables that TensorFlow wants set.
#
#   scripts/setup_tpu_vm.sh            install, then check
#   scripts/setup_tpu_vm.sh --dry-run  say what would be done, and do nothing
#   scripts/setup_tpu_vm.sh --skip-tpu check all but the TPU
#
# PYTHON=python3.11 names the Python, VENV=.venv the folder. On a slice of
# several hosts it runs on every one of them, with --skip-tpu
# (docs/cloud_tpu.md).
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
dry_run=false
check_flags=()
for argument in "$@"; do
  case "$argument" in
    --dry-run) dry_run=true ;;
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' scripts/setup_tpu_vm.sh
       exit 0 ;;
    --skip-tpu) check_flags+=(--skip_tpu) ;;
    *) echo "error: unknown argument $argument: use --dry-run or --skip-tpu." \
         >&2
       exit 2 ;;
  esac
done

fail() {
  echo "error: $*" >&2
  exit 1
}

"$PYTHON" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' ||
  fail "Python 3.10 to 3.13 is needed, but $PYTHON is not one." \
    "Name another: PYTHON=python3.11 scripts/setup_tpu_vm.sh"
requirements=$("$PYTHON" scripts/tpu_requirements.py)

if "$dry_run"; then
  echo "would make $VENV with $PYTHON and install into it, without their" \
    "dependencies:"
  echo "$requirements"
  exit 0
fi

[[ "$(uname -s)" == Linux ]] || fail 'Cloud TPU VMs run Linux, this is not.'
"$PYTHON" -m venv "$VENV" || fail "could not create $VENV. On Ubuntu:" \
  'sudo apt-get install python3-venv'
# What is removed later takes files with it that tensorflow-tpu needs.
if "$VENV/bin/python" -c \
    'import importlib.metadata as m; m.version("tensorflow")' 2>/dev/null; then
  fail "$VENV holds tensorflow, which would be mixed up with tensorflow-tpu." \
    "Remove it, or name another: VENV=.venv-tpu scripts/setup_tpu_vm.sh"
fi

# Not to be taken for a finished one if this is interrupted.
rm -f "$VENV/.installed"
printf '%s\n' "$requirements" > "$VENV/tpu-requirements.txt"
# seqeval has no wheel; only a build of its own finds what it needs.
"$VENV/bin/python" -m pip install --quiet --use-pep517 --no-deps \
  --requirement "$VENV/tpu-requirements.txt"

libtpu=$("$VENV/bin/python" -c \
  'import importlib.util as u, os
print(os.path.join(os.path.dirname(u.find_spec("libtpu").origin), "libtpu.so"))')
[[ -f "$libtpu" ]] || fail "libtpu is installed, but $libtpu is not there."
cat > "$VENV/tpu.sh" <<END
# Source this before training on the TPU of one host: . $VENV/tpu.sh
# It was written by scripts/setup_tpu_vm.sh.
export NEXT_PLUGGABLE_DEVICE_USE_C_API=true
export TF_PLUGGABLE_DEVICE_LIBRARY_PATH='$libtpu'
export TPU_NAME=local
export TF_USE_LEGACY_KERAS=1
END

(
  # shellcheck disable=SC1091
  . "$VENV/tpu.sh"
  "$VENV/bin/python" -m scripts.check_tpu_vm "${check_flags[@]}"
)
# make takes this for its own, and does not install tensorflow over it.
touch "$VENV/.installed"
echo "done. Before training: . $VENV/tpu.sh"
