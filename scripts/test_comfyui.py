"""The client of `scripts/test_comfyui.sh`: prepares the input folder, queues the example workflows, looks at what they give."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = ROOT / "example_workflows"
FRAMES = {"clip.mp4": 6, "scene.mp4": 24}
"""Of each clip; key frames have references 15 frames away."""
WIDTH = 320
WAIT = 900
"""Seconds that a workflow may take."""
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
UPLOADS = ("image_upload", "video_upload", "audio_upload")


def prepare(base: Path, clip: str) -> None:
    """Write small clips (frames of a real one, with a sound) and `example.png` (the first frame) into the input folder."""
    if not clip:
        sys.path.insert(0, str(ROOT / "scripts"))
        import demo

        os.chdir(ROOT)
        clip = demo.footage()
    for name, frames in FRAMES.items():
        shorten(clip, base / "input" / name, frames)
    with av.open(str(base / "input" / "clip.mp4")) as file:
        next(file.decode(video=0)).to_image().save(base / "input" / "example.png")


def shorten(clip: str, path: Path, frames: int) -> None:
    """The first frames of a clip, `WIDTH` wide, and a tone."""
    with av.open(clip) as source, av.open(str(path), "w") as target:
        given = source.streams.video[0]
        height = round(given.height * WIDTH / given.width / 2) * 2
        picture = target.add_stream("libx264", rate=given.average_rate, options={"crf": "12"})
        picture.width, picture.height, picture.pix_fmt = WIDTH, height, "yuv420p"
        context = picture.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 1, 1, 1, 1
        sound = target.add_stream("aac", rate=48000, layout="stereo")
        for number, frame in enumerate(source.decode(given)):
            if number == frames:
                break
            small = frame.reformat(WIDTH, height, "yuv420p", dst_colorspace="ITU709")
            small.pts, small.time_base = number, 1 / given.average_rate
            target.mux(picture.encode(small))
        target.mux(picture.encode())
        tone = (0.2 * np.sin(np.arange(48000 // 4) / 20)).astype(np.float32)
        block = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
        block.sample_rate, block.pts = 48000, 0
        target.mux(sound.encode(block))
        target.mux(sound.encode())


def ask(url: str, body: Any = None) -> Any:
    """JSON of the server."""
    request = urllib.request.Request(
        url, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"test_comfyui: {url} says {error.code}: {error.read().decode()[:2000]}")


def wait_until_there(url: str, server: int, base: Path) -> None:
    """Until the server answers; ends where it has ended."""
    for _ in range(300):
        try:
            ask(f"{url}/system_stats")
            return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
        try:
            os.kill(server, 0)
        except OSError:
            break
    sys.exit(f"test_comfyui: ComfyUI did not start:\n{(base / 'comfyui.log').read_text()[-3000:]}")


def to_prompt(workflow: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """A workflow as the page has it, as the API takes it."""
    links = {link[0]: link for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] not in known:
            continue  # notes
        values, inputs = list(node["widgets_values"]), {}
        linked = {entry["name"]: links[entry["link"]] for entry in node["inputs"] if entry.get("link")}
        declared = known[node["type"]]["input"]
        for kind in ("required", "optional"):
            for name in known[node["type"]]["input_order"].get(kind, []):
                kind_of, options = (*declared[kind][name], {})[:2]
                if isinstance(kind_of, list) or kind_of in WIDGETS:
                    inputs[name] = values.pop(0)
                    if any(options.get(upload) for upload in UPLOADS):
                        values.pop(0)  # the button
                if name in linked:
                    inputs[name] = [str(linked[name][1]), linked[name][2]]
        assert not values, f"{node['type']}: {values} left over"
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def run_workflow(url: str, prompt: dict[str, Any]) -> dict[str, Any]:
    """Queue it and wait; what its nodes show, by class."""
    number = ask(f"{url}/prompt", {"prompt": prompt})["prompt_id"]
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        history = ask(f"{url}/history/{number}").get(number)
        if history and history["status"]["completed"]:
            return {prompt[node]["class_type"]: shown for node, shown in history["outputs"].items()}
        if history and history["status"]["status_str"] == "error":
            errors = [what for kind, what in history["status"]["messages"] if kind == "execution_error"]
            sys.exit(
                f"test_comfyui: {errors[0]['node_type']}: {errors[0]['exception_message']}\n{''.join(errors[0]['traceback'])}"
            )
        time.sleep(0.5)
    sys.exit(f"test_comfyui: a workflow took more than {WAIT} s")


def check(what: str, passed: bool) -> None:
    """One line of the report; ends where it failed."""
    print(f"  {'ok    ' if passed else 'FAILED'} {what}", flush=True)
    if not passed:
        sys.exit(1)


def file_of(base: Path, shown: dict[str, Any], index: int = 0) -> Path:
    """A file that a node wrote."""
    entry = shown["images"][index]
    return base / entry["type"] / entry["subfolder"] / entry["filename"]


def check_video(base: Path, shown: dict[str, Any], clip: str) -> None:
    """HEVC, 10 bits, BT.2020 PQ, with metadata and sound, all frames of the clip, and no flat picture."""
    path = file_of(base, shown)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        facts = (stream.codec_context.name, stream.pix_fmt, stream.color_primaries, stream.color_trc)
        sounds, frames = len(file.streams.audio), list(file.decode(stream))
    check(f"{path.name}: {facts}, {len(frames)} frames, {sounds} sound", facts == ("hevc", "yuv420p10le", 9, 16) and sounds == 1)
    check(f"all {FRAMES[clip]} frames are there", len(frames) == FRAMES[clip])
    kinds = {data.type.name for data in frames[0].side_data.values()}
    check("mastering display and content light in the stream", {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= kinds)
    luma = _luma(frames[0])
    check(f"luma from {luma.min():.0f} to {luma.max():.0f}", luma.max() - luma.min() > 200 and luma.max() < 800)


def check_against_the_command_line(base: Path, clip: str, written: str, *arguments: str) -> None:
    """The node's video and that of `vs-hdrtv convert`: another decoder, the same stages. Needs VapourSynth in this Python."""
    if importlib.util.find_spec("vapoursynth") is None:
        print("  no VapourSynth in ComfyUI's Python: not compared with vs-hdrtv convert")
        return
    theirs, (ours,) = base / "temp" / f"convert_{clip}", (base / "output" / "video").glob(f"{written}_*.mp4")
    words = ["-m", "vs_hdrtv.cli", "convert", str(base / "input" / clip), str(theirs), "--engine", "cpu", "--overwrite"]
    done = subprocess.run([sys.executable, *words, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    check(f"vs-hdrtv convert: {done.stderr.strip().splitlines()[-1]}", done.returncode == 0)
    planes = []
    for path in (ours, theirs):
        with av.open(str(path)) as file:
            planes.append([_luma(frame) for frame in file.decode(video=0)])
    apart = np.abs(np.stack(planes[0]) - np.stack(planes[1]))
    check(f"luma is {apart.mean():.2f} codes of 1023 from that of vs-hdrtv convert, both coded with losses", apart.mean() < 2)


def check_recovered_video(base: Path, url: str, prompt: dict[str, Any]) -> None:
    """The workflow of a video once more, with key frames, by stream."""
    clip, changed = "scene.mp4", {"file": "scene.mp4", "preset": "recover", "filename_prefix": "video/stream"}
    for node in prompt.values():
        node["inputs"] |= {name: value for name, value in changed.items() if name in node["inputs"]}
    check_video(base, run_workflow(url, prompt)["VsHdrtvSaveHdr10Video"], clip)
    check_against_the_command_line(base, clip, "stream", "--preset", "recover")


def _luma(frame: Any) -> Any:
    """(H, W), 10-bit codes."""
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width].astype(np.float32)


def check_picture(base: Path, shown: dict[str, Any], clip: str) -> None:
    """PNG of 16 bits with cICP, the workflow in it."""
    data = file_of(base, shown).read_bytes()
    check("PNG of 16 bits", data[24:26] == bytes([16, 2]))
    check("cICP says BT.2020, PQ, RGB, full range", b"cICP" + bytes([9, 16, 0, 1]) in data)
    check("the workflow is in it", b"VsHdrtvSaveHdrImage" in data)


def check_drawn(base: Path, shown: dict[str, Any], clip: str) -> None:
    """A picture that is not flat."""
    for index in range(len(shown["images"])):
        pixels = np.asarray(Image.open(file_of(base, shown, index)).convert("L"), np.float32)
        check(
            f"{shown['images'][index]['filename']}: {pixels.shape[1]}x{pixels.shape[0]}, spread {pixels.std():.0f}",
            pixels.std() > 5,
        )


def check_light(base: Path, shown: dict[str, Any], clip: str) -> None:
    """MaxCLL in reach."""
    line = shown["text"][0].splitlines()[0]
    check(line, 100 < int(line.split()[1].rstrip(",")) <= 2000)


def check_key_frames(text: str, clip: str) -> None:
    """What Recover Key Frames says: there are references, all of them frames of the clip."""
    lines = text.splitlines()
    found = [[int(number) for number in re.findall(r"\d+", line)] for line in lines]
    check(f"key frames {'; '.join(lines)}", any(count for _, count, *_ in found))
    check("all of them are frames of the clip", max(max(key, *at) for key, _, *at in found if at) < FRAMES[clip])


CHECKS: dict[str, Callable[[Path, dict[str, Any], str], None]] = {
    "VsHdrtvSaveHdr10Video": check_video,
    "VsHdrtvSaveHdrImage": check_picture,
    "VsHdrtvPreview": check_drawn,
    "VsHdrtvScope": check_drawn,
    "VsHdrtvCompare": check_drawn,
    "VsHdrtvLightLevel": check_light,
    "PreviewImage": check_drawn,
    "MaskPreview": check_drawn,
}
"""What is looked at of a node's result."""


def run(base: Path, url: str, server: int) -> None:
    """All of it."""
    wait_until_there(url, server, base)
    known = ask(f"{url}/object_info")
    ours = [name for name in known if name.startswith("VsHdrtv")]
    log = (base / "comfyui.log").read_text()
    print(f"ComfyUI {ask(f'{url}/system_stats')['system']['comfyui_version']}: {len(ours)} nodes", flush=True)
    pages = sorted(path.stem for path in (ROOT / "nodes" / "web" / "docs").glob("*.md"))
    check("a node for each page of help", sorted(ours) == pages and "IMPORT FAILED: " + str(base) not in log)
    with urllib.request.urlopen(f"{url}/extensions/vs_hdrtv/docs/{ours[0]}.md") as page:
        check("its pages are served", page.read().startswith(b"# "))
    check("its workflows are offered", set(ask(f"{url}/workflow_templates").get("vs_hdrtv", [])) == set(templates()))
    for path in templates().values():
        print(path.name, flush=True)
        started = time.monotonic()
        prompt = to_prompt(json.loads(path.read_text("utf-8")), known)
        clip = next((node["inputs"]["file"] for node in prompt.values() if node["class_type"] == "LoadVideo"), "")
        shown = run_workflow(url, prompt)
        for name, result in shown.items():
            CHECKS.get(name, lambda *_: None)(base, result, clip)
        if path.stem == "key_frame_recovery":
            check_key_frames(shown["PreviewAny"]["text"][0], clip)
        if path.stem == "sdr_to_hdr_video":
            check_against_the_command_line(base, clip, "HDR10")
            check_recovered_video(base, url, prompt)
        print(f"  {time.monotonic() - started:.0f} s", flush=True)
    chromium = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    if chromium is None:
        print("no Chromium: no screenshot")
        return
    for name, path in templates().items():
        picture = base / f"{name}.png"
        asyncio.run(screenshot(chromium, url, json.loads(path.read_text("utf-8")), picture, base))
        pixels = np.asarray(Image.open(picture).convert("L"), np.float32)
        check(f"screenshot {picture}, spread {pixels.std():.0f}", pixels.std() > 5)


def templates() -> dict[str, Path]:
    """The example workflows by name."""
    return {path.stem: path for path in sorted(WORKFLOWS.glob("*.json"))}


async def screenshot(chromium: str, url: str, workflow: dict[str, Any], picture: Path, base: Path) -> None:
    """Open the page, load a workflow, run it, take a picture: by Chromium's protocol over aiohttp, which ComfyUI has."""
    import aiohttp

    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--window-size=1600,900"]
    profile = base / "chromium"
    browser = await asyncio.create_subprocess_exec(
        *(chromium, *words, f"--user-data-dir={profile}", "about:blank"), stdout=-3, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert browser.stderr is not None
        port = ""
        while not port:
            line = (await asyncio.wait_for(browser.stderr.readline(), 60)).decode()
            port = line.split(":")[-1].split("/")[0].strip() if "DevTools listening" in line else ""
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?{url}") as answer:
                page = await answer.json(content_type=None)
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                number = 0

                async def call(method: str, **parameters: Any) -> Any:
                    nonlocal number
                    number += 1
                    await socket.send_json({"id": number, "method": method, "params": parameters})
                    while True:
                        found = await asyncio.wait_for(socket.receive_json(), 120)
                        if found.get("id") == number:
                            return found.get("result", {})

                async def evaluate(code: str) -> Any:
                    found = await call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
                    return found.get("result", {}).get("value")

                for _ in range(90):
                    if await evaluate("Boolean(window.app && window.app.graph && document.querySelector('canvas'))"):
                        break
                    await asyncio.sleep(1)
                await asyncio.sleep(5)
                count = await evaluate(
                    f"(async () => {{ await window.app.loadGraphData({json.dumps(workflow)}); "
                    "window.app.canvas.ds.scale = 0.62; window.app.canvas.ds.offset = [120, 290]; "
                    "window.app.graph.setDirtyCanvas(true, true); return window.app.graph._nodes.length; })()"
                )
                check(f"the page shows {count} nodes", count == len(workflow["nodes"]))
                await evaluate("window.app.queuePrompt(0).then(() => true)")
                await asyncio.sleep(2)
                queue = ask(f"{url}/queue")
                while queue["queue_running"] or queue["queue_pending"]:
                    await asyncio.sleep(1)
                    queue = ask(f"{url}/queue")
                await evaluate("document.querySelectorAll('.p-dialog-close-button').forEach((button) => button.click())")
                await asyncio.sleep(3)
                shot = await call("Page.captureScreenshot", format="png")
                picture.write_bytes(base64.b64decode(shot["data"]))
    finally:
        browser.terminate()
        await browser.wait()
        shutil.rmtree(profile, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]), sys.argv[3])
    else:
        run(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
