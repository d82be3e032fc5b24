#!/bin/sh
# Prints the path of the Python that the virtual environment is to be made from: the newest of 3.12 .. 3.14 on this
# machine, or whatever PYTHON names. Every candidate is run, since version managers put shims on PATH that refuse to.
# Exit code 2, and what was tried, where there is none.
set -u

# Prints "rank version how path" of a usable Python, "how" being venv or uv. A Python without ensurepip (Debian splits
# it off) cannot make an environment with pip by itself. Free-threaded builds are left out: VapourSynth's wheel does not
# install there. Versions above 3.14 come last: not every dependency may have a wheel for them yet.
probe='
import sys, sysconfig
v = sys.version_info
if v < (3, 12) or sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
try:
    import ensurepip, venv
    how = "venv"
except ImportError:
    how = "uv"
rank = (how == "venv") * 2000 + (v < (3, 15)) * 1000 + v[1]
print("%d.%03d %d.%d.%d %s %s" % (rank, v[2], v[0], v[1], v[2], how, sys.executable))
'

have_uv() { command -v uv >/dev/null 2>&1; }

candidates() {
    for name in python3.14 python3.13 python3.12 python3 python; do
        # All of that name on PATH, not the first alone: a shim may hide a working one.
        (IFS=:; for folder in $PATH; do [ -x "$folder/$name" ] && printf '%s\n' "$folder/$name"; done)
    done
    # The versions beside a version manager's shims, even where its home is not the HOME of this shell.
    shims=$(IFS=:; for folder in $PATH; do case $folder in */shims) printf '%s\n' "${folder%/shims}/versions" ;; esac; done)
    printf '%s\n' "$shims" "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions" "${HOME:-}/.local/share/uv/python" \
        "${HOME:-}/.local/share/mise/installs/python" "${HOME:-}/.asdf/installs/python" | sort -u |
        while IFS= read -r versions; do
            [ -n "$versions" ] || continue
            for python in "$versions"/*/bin/python "$versions"/*/bin/python3; do
                [ -x "$python" ] && printf '%s\n' "$python"
            done
        done
    if have_uv; then uv python find '>=3.12' 2>/dev/null; fi
}

if [ -n "${PYTHON:-}" ]; then
    found=$("$PYTHON" -c "$probe" 2>/dev/null </dev/null)
    if [ -z "$found" ]; then
        echo "find_python: PYTHON is '$PYTHON', which is not a CPython 3.12 or newer that runs; name another one" >&2
        exit 2
    fi
else
    tried=$(candidates)
    found=$(printf '%s\n' "$tried" | while IFS= read -r python; do
        [ -n "$python" ] && "$python" -c "$probe" 2>/dev/null </dev/null
    done | sort -rn | head -n 1)
fi

how=$(printf '%s' "$found" | cut -d ' ' -f 3)
path=$(printf '%s' "$found" | cut -d ' ' -f 4-)
if [ -n "$path" ] && { [ "$how" = venv ] || have_uv; }; then
    printf '%s\n' "$path"
    exit 0
fi

{
    if [ -n "$path" ]; then
        echo "find_python: $path has no 'ensurepip' and there is no 'uv' that could do without it."
        echo "Install Python's venv module (on Debian or Ubuntu: apt install python3-venv) or uv, and call again."
    else
        echo "find_python: no CPython 3.12 or newer found (VapourSynth needs it). Tried:"
        printf '%s\n' "${tried:-nothing on PATH}" | while IFS= read -r python; do
            printf '  %s: %s\n' "$python" "$("$python" --version 2>&1 </dev/null | head -n 1)"
        done
        echo "Get one, for example with 'uv python install 3.13', 'pyenv install 3.13' or your system's packages,"
        echo "or name one that is somewhere else: make PYTHON=/path/to/python3.13 ..."
    fi
} >&2
exit 2
