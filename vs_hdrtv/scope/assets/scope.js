// The page of one file.
let mode = "picture";

function drawWave(id, source, frame) {
  const height = 280;
  svg(id, height, (width) => lightRows(46, width - 2, 4, height - 12));
  const image = document.createElement("img");
  image.alt = byId(id).dataset.label;
  image.src = source;
  image.style.cssText = `left:46px;top:4px;width:calc(100% - 48px);height:${height - 12}px;mix-blend-mode:lighten`;
  byId(id).append(image);
}

function drawLight(frame) {
  svg("light", 300, (width) => {
    const left = 46, right = width - 6, top = 4, height = 266, light = data.light;
    const first = light.time[0], last = light.time[light.time.length - 1], span = last - first || 1;
    const x = (time) => left + (right - left) * (time - first) / span, y = (value) => top + height * (1 - pq(value));
    let out = `<rect x="${left}" y="${top}" width="${right - left}" height="${height}" fill="#1d2027"/>` + lightRows(left, right, top, height);
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800].find((s) => span / s <= width / 90) || 3600;
    for (let i = Math.ceil(first / step); i * step <= last; i++) {
      const at = i * step, text = last < 120 ? `${+at.toFixed(1)} s` : `${Math.floor(at / 60)}:${String(Math.round(at % 60)).padStart(2, "0")}`;
      out += line(x(at), top, x(at), top + height, "grid-line") + label(Math.min(Math.max(x(at), left + 14), right - 14), top + height + 18, text, "middle");
    }
    for (const value of data.claimed) out += `<line x1="${left}" x2="${right}" y1="${y(value)}" y2="${y(value)}" stroke="#9ea5b1" stroke-dasharray="6 6"/>`;
    for (const [values, color] of [[light.max, "#fab04c"], [light.average, "#78aaf0"]]) {
      const points = values.map((v, i) => `${x(light.time[i]).toFixed(1)} ${y(v).toFixed(1)}`);
      out += `<path d="M${points.length > 1 ? points.join("L") : points[0] + "H" + right}" fill="none" stroke="${color}" stroke-width="2" stroke-linejoin="round"/>`;
    }
    for (const other of data.frames) out += `<circle cx="${x(other.time)}" cy="${y(other.max)}" r="3" fill="#fab04c"/>`;
    out += `<line x1="${x(frame.time)}" x2="${x(frame.time)}" y1="${top}" y2="${top + height}" stroke="#fff"/>`;
    byId("light").onclick = (event) => {
      const time = first + span * (event.clientX - byId("light").getBoundingClientRect().left - left) / (right - left);
      choose(data.frames.reduce((best, f, i) => Math.abs(f.time - time) < Math.abs(data.frames[best].time - time) ? i : best, 0));
    };
    return out;
  });
}

function show(frame) {
  byId("title").textContent = `Frame ${frame.number}, ${frame.time.toFixed(2)} s`;
  byId("picture").src = frame[mode];
  byId("false-legend").hidden = mode !== "false";
  drawWave("waveform", frame.waveform, frame);
  drawWave("parade", frame.parade, frame);
  drawHistogram("histogram", [[frame.histogramMax, "#78aaf0"], [frame.histogram, "#fab04c"]]);
  byId("plane").src = frame.plane;
  byId("numbers").innerHTML = frame.rows.map(([name, value]) => `<tr><th scope="row">${name}</th><td>${value}</td></tr>`).join("");
  frame.gamut.forEach((share, i) => { byId(`gamut-${i}`).textContent = share; });
  drawLight(frame);
}

modes("modes", (name) => { mode = name; show(data.frames[current]); });
filmstrip(show);
