"use strict";
// What both pages share: the data, the filmstrip, keys, plots on a PQ axis.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
let current = data.first;

// ST 2084: cd/m2 to signal.
const pq = (light) => {
  const y = Math.pow(Math.max(light, 0) / 10000, 2610 / 16384);
  return Math.pow((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y), 2523 / 32);
};
const TICKS = [0.1, 1, 10, 50, 100, 203, 400, 1000, 4000, 10000];
const label = (x, y, text, anchor, cls) => `<text x="${x}" y="${y}" text-anchor="${anchor}" class="${cls || ""}">${text}</text>`;
const line = (x1, y1, x2, y2, cls) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" class="${cls}"/>`;

// Lines and labels up the left side; those that would touch the one above are left out, 203 cd/m2 never.
function lightRows(left, right, top, height) {
  let out = "", free = -99;
  for (const tick of [203, ...TICKS.filter((t) => t !== 203).reverse()]) {
    const y = top + height * (1 - pq(tick));
    out += line(left, y, right, y, tick === 203 ? "white-line" : "grid-line");
    const clear = Math.abs(y - (top + height * (1 - pq(203)))) > 14 || tick === 203;
    if (clear && (tick === 203 || Math.abs(y - free) > 14)) {
      out += label(left - 6, Math.max(y + 4, 11), tick, "end", tick === 203 ? "white" : "");
      if (tick !== 203) free = y;
    }
  }
  return out;
}

// Labels below; from 203 cd/m2 outwards, as many as there is room for.
function lightColumns(left, width, bottom) {
  let out = "";
  const taken = [];
  for (const tick of [203, 10000, 1, 1000, 10, 50, 0.1, 100, 400, 4000]) {
    const x = left + width * pq(tick), half = 4 + 3.6 * String(tick).length;
    const at = Math.min(x, left + width - half + 4);
    out += line(x, bottom, x, bottom + 4, "white-line");
    if (taken.every(([a, b]) => at + half < a || at - half > b)) {
      taken.push([at - half, at + half]);
      out += label(at, bottom + 18, tick, "middle", tick === 203 ? "white" : "");
    }
  }
  return out;
}

function svg(id, height, draw) {
  const box = byId(id), width = box.clientWidth;
  if (width) box.innerHTML = `<svg viewBox="0 0 ${width} ${height}" height="${height}" role="img" aria-label="${box.dataset.label}">${draw(width)}</svg>`;
}

function steps(values, left, width, row) {
  return values.map((v, i) => `${i ? "L" : "M"}${(left + width * i / values.length).toFixed(1)} ${row(v).toFixed(1)}H${(left + width * (i + 1) / values.length).toFixed(1)}`).join("");
}

// Shares of pixels in percent, logarithmic from 0.001 %.
function drawHistogram(id, curves) {
  svg(id, 280, (width) => {
    const left = 60, top = 8, bottom = 252, inner = width - left - 6, low = -3, high = 2;
    const row = (share) => bottom - (Math.min(Math.max(share > 0 ? Math.log10(share) : low, low), high) - low) / (high - low) * (bottom - top);
    let out = `<rect x="${left}" y="${top}" width="${inner}" height="${bottom - top}" fill="#1d2027"/>`;
    for (let e = low; e <= high; e++) out += line(left, row(10 ** e), left + inner, row(10 ** e), "grid-line") + label(left - 6, row(10 ** e) + 4, 10 ** e >= 1 ? 10 ** e + " %" : (10 ** e).toFixed(-e) + " %", "end");
    for (const tick of TICKS) out += line(left + inner * pq(tick), top, left + inner * pq(tick), bottom, tick === 203 ? "white-line" : "grid-line");
    for (const [values, color] of curves) {
      const path = steps(values, left, inner, row);
      out += `<path d="${path}V${bottom}H${left}Z" fill="${color}" fill-opacity=".22"/><path d="${path}" fill="none" stroke="${color}" stroke-width="1.5"/>`;
    }
    return out + lightColumns(left, inner, bottom);
  });
}

// One button a frame; `show(index)` draws it.
function filmstrip(show) {
  const strip = byId("strip");
  data.frames.forEach((frame, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.innerHTML = `<img alt="" src="${frame.thumb}">${frame.time.toFixed(2)} s`;
    button.title = `frame ${frame.number}`;
    button.onclick = () => choose(index);
    strip.append(button);
  });
  window.choose = (index) => {
    current = Math.min(Math.max(index, 0), data.frames.length - 1);
    [...strip.children].forEach((button, i) => button.setAttribute("aria-current", i === current));
    const chosen = strip.children[current];
    strip.scrollTo({ left: chosen.offsetLeft - strip.offsetLeft - (strip.clientWidth - chosen.clientWidth) / 2 });
    show(data.frames[current]);
  };
  document.addEventListener("keydown", (event) => {
    if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: data.frames.length - 1 }[event.key];
    if (to !== undefined) { event.preventDefault(); choose(to); }
    const button = document.querySelector(`[data-key="${event.key.toLowerCase()}"]`);
    if (button) button.click();
  });
  addEventListener("load", () => choose(current)); // now the strip knows its width
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => choose(current), 80); });
  choose(current);
}

// Buttons of which one is pressed; `show(mode)` draws it.
function modes(id, show) {
  const buttons = [...byId(id).querySelectorAll("button")];
  for (const button of buttons) button.onclick = () => {
    buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
    show(button.dataset.mode);
  };
}
