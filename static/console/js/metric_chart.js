// Charts of metrics and sizes, drawn from the tables below them.
import uPlot from "../../vendor/uplot/uPlot.esm.js";

const HEIGHT = 170;
const drawn = new Map();

/** A token's colour for the canvas: the browser resolves light-dark(). */
const colour = (name, box) => {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  box.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

const withOpacity = (text, share) => text.replace(/^rgba?\(([^)]+?)(,[^,]+)?\)$/, (_, inner) => {
  const [r, g, b] = inner.split(",");
  return `rgba(${r}, ${g}, ${b}, ${share})`;
});

/** The rows of the table as columns; a missing bucket breaks the line. */
const columns = (figure) => {
  let step = Number(figure.dataset.step);
  const [at, mean, low, high] = [[], [], [], []];
  for (const { dataset } of figure.querySelectorAll("tbody tr")) {
    const time = Number(dataset.at);
    if (at.length && time - at.at(-1) > step) {
      at.push(at.at(-1) + step);
      for (const values of [mean, low, high]) values.push(null);
    }
    at.push(time);
    // A row may say by itself how long its value holds.
    if (dataset.step) step = Number(dataset.step);
    mean.push(Number(dataset.mean));
    low.push(Number(dataset.min ?? dataset.mean));
    high.push(Number(dataset.max ?? dataset.mean));
  }
  return [at, mean, high, low];
};

/** Some space above and below, also for a constant value. */
const yRange = (_, low, high) => {
  if (low === null) return [0, 1];
  const margin = Math.max((high - low) * 0.1, Math.abs(high) * 0.02, 0.1);
  return [low - margin, high + margin];
};

const DAY = 86_400;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const moment = (seconds) => new Date(seconds * 1000);
const rounded = (value) => (value == null ? "–" : `${Math.round(value * 100) / 100}`);

/** Counts have one line, whole numbers, and none below zero. */
const countRange = (chart, low, high) => {
  const [from, to] = yRange(chart, low, high);
  return [Math.max(0, from), Math.max(1, to)];
};
const WHOLE = [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4, 5, 6].map((e) => n * 10 ** e)).sort((a, b) => a - b);

const draw = (figure) => {
  const box = figure.querySelector(".plot");
  if (!box) return;
  drawn.get(box)?.destroy();
  const [accent, ink, line] = ["--accent", "--ink-3", "--line"].map((n) => colour(n, box));
  const font = `11px ${getComputedStyle(box).fontFamily}`;
  const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const edge = { stroke: withOpacity(accent, 0.35), width: 1, value: (_, v) => rounded(v), points: { show: false } };
  const data = columns(figure);
  const [from, to] = [figure.dataset.from, figure.dataset.to].map(Number);
  // Of several ticks in one day, the first has the date.
  const once = (text, place, all) => (to - from > DAY && text === all[place - 1] ? "" : text);
  const times = (_, splits) => splits.map((at) => (to - from > DAY ? date : clock).format(moment(at))).map(once);
  const isSparse = data[0].length < 3;
  const counted = figure.dataset.label;
  drawn.set(box, new uPlot({
    width: Math.max(240, box.clientWidth),
    height: HEIGHT,
    legend: { live: true },
    cursor: { drag: { x: false, y: false } },
    scales: { x: { range: [from, to] }, y: { range: counted ? countRange : yRange } },
    series: [
      { label: "at", value: (_, at) => (at == null ? "–" : `${date.format(moment(at))} ${clock.format(moment(at))}`) },
      { label: counted ?? "mean", stroke: accent, width: 2, value: (_, v) => rounded(v), points: isSparse ? { show: true } : { size: 4 } },
      ...(counted ? [] : [{ label: "highest", ...edge }, { label: "lowest", ...edge }]),
    ],
    bands: counted ? [] : [{ series: [2, 3], fill: withOpacity(accent, 0.16) }],
    axes: [{ ...axis, values: times }, { ...axis, size: 52, ...(counted && { incrs: WHOLE }) }],
  }, counted ? data.slice(0, 2) : data, box));
};

const drawAll = () => {
  for (const box of drawn.keys()) if (!box.isConnected) drawn.delete(box);
  document.querySelectorAll("figure.course").forEach(draw);
};

drawAll();
document.addEventListener("htmx:after:swap", (event) => {
  if (event.target?.id === "course" || document.querySelector("#course .plot:empty")) drawAll();
});
new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) requestAnimationFrame(drawAll);
  width = innerWidth;
});
