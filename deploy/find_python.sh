#!/bin/sh
# Prints the first Python that the study is tested with (the classifiers of pyproject.toml), runs, and can make an
# environment: pythonX.Y on the path, pyenv's own X.Y, then whatever python3 and python are. $1, if any, is the only one
# that is tried. A name alone says little: a shim of pyenv may have nothing behind it, Debian's may lack ensurepip.
set -u
folder=$(dirname "$0")/..
tested=$(sed -n 's/.*Programming Language :: Python :: \(3\.[0-9]*\)".*/\1/p' "$folder/pyproject.toml")
probe='
try:
    import ensurepip, sys, sysconfig, venv
    free = "without a GIL " if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    print("%s%d.%d" % ((free,) + sys.version_info[:2]))
except ImportError as error:
    print(error)
'
refused=""

try() {
  command -v "$1" >/dev/null 2>&1 || return 0
  found=$("$1" -c "$probe" 2>/dev/null) || found="does not run"
  for version in $tested; do
    [ "$found" != "$version" ] || { echo "$1"; exit 0; }
  done
  refused="$refused; $1: $found"
}

if [ -n "${1:-}" ]; then
  command -v "$1" >/dev/null 2>&1 || refused="; there is no $1"
  try "$1"
else
  for wanted in $tested; do
    try "python$wanted"
    for python in "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$wanted."*/bin/python; do try "$python"; done
  done
  for python in python3 python python3.14; do try "$python"; done
fi
echo "needs one of Python $(echo $tested | sed 's/ /, /g') with venv${refused:-; found none}: install one (on Debian and Ubuntu" \
  "also its package pythonX.Y-venv), or name it: make PYTHON=/path/to/python" >&2
exit 1
