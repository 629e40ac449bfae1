# What the scripts share; to be sourced. Leaves the working directory at the root of the tree.

set -u
set -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
logs=$root/build/logs
jobs=$(nproc)

# Open MPI refuses to run as root unless told; containers have no other user.
if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# step NAME COMMAND...: runs quietly, prints one line with the time, and on failure the end of the
# log and where all of it is.
step() {
  local name=$1 began=$SECONDS status=0
  shift
  mkdir -p "$logs"
  local log=$logs/${name// /-}.log
  printf '%-24s' "$name"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ $status = 0 ]; then
    printf 'ok     %4d s\n' $((SECONDS - began))
  else
    printf 'FAILED %4d s\n' $((SECONDS - began))
    tail -n 40 "$log" | sed 's/^/  | /'
    echo "  The whole log: $log"
  fi
  return $status
}

# configure PRESET [OPTION...]: cheap when nothing changed.
configure() {
  local preset=$1 launcher=()
  shift
  if command -v ccache >/dev/null; then
    # Without these it would not keep what includes precompiled headers.
    export CCACHE_SLOPPINESS=pch_defines,time_macros
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  cmake --preset "$preset" "${launcher[@]}" "$@"
}
