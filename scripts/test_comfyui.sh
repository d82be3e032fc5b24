#!/bin/sh
# The nodes in a real ComfyUI on the CPU: every example workflow is queued through its API on a real clip, and what comes out is
# looked at; then a screenshot, where there is a Chromium.
#
#   scripts/test_comfyui.sh PATH_TO_COMFYUI [CLIP]
#
# PATH_TO_COMFYUI is a checkout of ComfyUI (0.3.64 or newer) whose requirements are installed. The Python that runs it is
# $COMFYUI_PYTHON, else its own .venv or venv, else python3; it needs what requirements.txt here says. CLIP is any SDR video; by
# default the one of `make demo`. Nothing is written into the checkout: folder $COMFYUI_BASE (default: build/comfyui) holds it all.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
comfyui=${1:?usage: scripts/test_comfyui.sh PATH_TO_COMFYUI [CLIP]}
base=${COMFYUI_BASE:-$root/build/comfyui}
port=${COMFYUI_PORT:-8197}
python=${COMFYUI_PYTHON:-}
for candidate in "$comfyui/.venv/bin/python" "$comfyui/venv/bin/python"; do
    if [ -z "$python" ] && [ -x "$candidate" ]; then python=$candidate; fi
done
python=${python:-python3}
if [ ! -f "$comfyui/main.py" ]; then
    echo "test_comfyui: $comfyui holds no main.py; give a checkout of ComfyUI" >&2
    exit 2
fi

rm -rf "$base"
mkdir -p "$base/input" "$base/output" "$base/temp" "$base/user" "$base/models" "$base/custom_nodes/vs_hdrtv"
# A clone: what git has, and nothing that a build or an install left in the working tree.
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf - 2>/dev/null) \
    | tar xf - -C "$base/custom_nodes/vs_hdrtv"

"$python" "$root/scripts/test_comfyui.py" prepare "$base" "${2:-}"
(cd "$comfyui" && exec "$python" main.py --cpu --port "$port" --base-directory "$base" --disable-auto-launch \
    --database-url "sqlite:///$base/comfyui.db") > "$base/comfyui.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT INT TERM
"$python" "$root/scripts/test_comfyui.py" run "$base" "http://127.0.0.1:$port" "$server"
