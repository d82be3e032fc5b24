// The page of two files.
const wipe = byId("wipe"), slider = byId("slider");

function setWipe(percent) {
  slider.value = percent;
  wipe.style.setProperty("--at", `${Math.min(Math.max(percent, 0), 100)}%`);
}

function pull(event) {
  const box = wipe.getBoundingClientRect();
  setWipe(100 * (event.clientX - box.left) / box.width);
}
wipe.addEventListener("pointerdown", (event) => { wipe.setPointerCapture(event.pointerId); pull(event); });
wipe.addEventListener("pointermove", (event) => { if (wipe.hasPointerCapture(event.pointerId)) pull(event); });
slider.oninput = () => setWipe(slider.value);

function setMode(name) {
  byId("wipe-view").hidden = name === "delta";
  byId("delta-view").hidden = name !== "delta";
  if (name !== "delta") setWipe({ a: 100, b: 0, wipe: 50 }[name]);
}

function show(frame) {
  byId("title").textContent = `Frame ${frame.number}, ${frame.time.toFixed(2)} s`;
  byId("a").src = frame.a;
  byId("b").src = frame.b;
  byId("delta").src = frame.delta;
  [...byId("rows").children].forEach((row, i) => row.setAttribute("aria-current", i === current));
  drawHistogram("histogram", [[frame.histograms[0], "#78aaf0"], [frame.histograms[1], "#fab04c"]]);
}

byId("rows").innerHTML = data.frames.map((frame) => `<tr class="pick"><th scope="row">${frame.number}</th>${frame.cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`).join("");
[...byId("rows").children].forEach((row, i) => { row.onclick = () => choose(i); });
modes("modes", setMode);
filmstrip(show);
setMode("wipe");
