// A small line chart over time, in SVG: lines, change marks that can be focused, and one scale.

import { h, svg } from "./dom.js";

const PAD = { left: 44, right: 8, top: 8, bottom: 18 };
const STEPS_MIN = [0.5, 1, 2, 3, 5];
const BREAK = 2.5; // steps without a point that break a line

/**
 * Make a chart.
 * @param {string} title What it shows.
 * @param {number} height In pixels.
 * @param {number} right Pixels at the right for names of lines.
 */
export function makeChart(title, height, right = PAD.right) {
  const picture = svg("svg", { class: "plot", role: "img", "aria-label": title });
  const tip = h("p", { class: "tip", role: "tooltip", hidden: true });
  const marks = h("div", { class: "marks" });
  const root = h(
    "figure",
    { class: "chart" },
    h("figcaption", { text: title }),
    h("div", { class: "frame" }, picture, marks, tip),
  );
  const draw = (data) => paint({ picture, marks, tip, root, height, right }, data);
  return { root, draw };
}

/**
 * @param {object} data `fromMs`, `toMs`, `stepMs`, `max`, `ticks` of `{at, text}`, `at` (value to 0..1), `lines` of
 *   `{kind, name, points: [[ms, value]]}`, `marks` of `{atMs, text}`, `summary`.
 */
function paint(parts, data) {
  const { picture, height, right } = parts;
  const width = Math.max(160, Math.round(picture.parentElement.clientWidth));
  const inner = { width: width - PAD.left - right, height: height - PAD.top - PAD.bottom };
  const x = (ms) => PAD.left + ((ms - data.fromMs) / (data.toMs - data.fromMs)) * inner.width;
  const y = (value) => PAD.top + (1 - data.at(value)) * inner.height;
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  picture.setAttribute("height", height);
  picture.setAttribute("aria-label", data.summary);
  picture.replaceChildren(
    ...data.ticks.map((tick) => svg("path", { class: "grid", d: `M${PAD.left} ${cell(y(tick.at))}H${width - right}` })),
    ...data.ticks.map((tick) =>
      svg("text", { class: "axis", x: PAD.left - 6, y: y(tick.at) + 3, "text-anchor": "end" }, tick.text),
    ),
    ...times(data.fromMs, data.toMs, inner.width).map(({ ms, text }) =>
      svg("text", { class: "axis", x: x(ms), y: height - 4, "text-anchor": "middle" }, text),
    ),
    ...data.marks.map((mark) =>
      svg("path", { class: "change", d: `M${cell(x(mark.atMs))} ${PAD.top}V${height - PAD.bottom}` }),
    ),
    ...data.lines.map((line) => svg("path", { class: `line ${line.kind}`, d: path(line.points, x, y, data.stepMs) })),
    ...names(data.lines, y, width - right + 6, inner.height),
  );
  paintMarks(parts, data.marks, x);
}

function cell(value) {
  return Math.round(value) + 0.5;
}

/** Write a path; a gap in time breaks it. */
function path(points, x, y, stepMs) {
  let before = -Infinity;
  return points
    .map(([ms, value]) => {
      const verb = ms - before > BREAK * stepMs ? "M" : "L";
      before = ms;
      return `${verb}${x(ms).toFixed(1)} ${y(value).toFixed(1)}`;
    })
    .join("");
}

/** Name lines at their right end, pushed apart where they would touch. */
function names(lines, y, at, height) {
  const named = lines.filter((line) => line.name && line.points.length);
  const places = named.map((line) => ({ line, y: y(line.points.at(-1)[1]) })).sort((one, other) => one.y - other.y);
  let floor = PAD.top - 4;
  for (const place of places) floor = place.y = Math.max(place.y, floor + 12);
  let ceiling = PAD.top + height + 6;
  for (const place of places.reverse()) ceiling = place.y = Math.min(place.y, ceiling - 12) + 0;
  return places
    .filter((place) => place.y > 0)
    .map(({ line, y: to }) => svg("text", { class: `name ${line.kind}`, x: at, y: to + 4 }, line.name));
}

function times(fromMs, toMs, width) {
  const most = width < 340 ? 3 : 6;
  const minutes = STEPS_MIN.find((one) => (toMs - fromMs) / (one * 60_000) <= most) ?? STEPS_MIN.at(-1);
  const step = minutes * 60_000;
  const found = [];
  for (let ms = Math.ceil(fromMs / step) * step; ms < toMs; ms += step) {
    const date = new Date(ms);
    const pair = (value) => String(value).padStart(2, "0");
    if (ms - fromMs > 20_000 && toMs - ms > 20_000)
      found.push({
        ms,
        text: `${pair(date.getHours())}:${pair(date.getMinutes())}${minutes < 1 ? `:${pair(date.getSeconds())}` : ""}`,
      });
  }
  return found;
}

/** Marks are buttons over the picture, so that hover, focus and touch all say who and why. */
function paintMarks({ marks, tip, picture }, list, x) {
  const scale = picture.clientWidth / Number(picture.getAttribute("viewBox").split(" ")[2] || 1) || 1;
  const shown = marks.shown ?? [];
  marks.shown = list;
  if (shown.length !== list.length || shown.some((mark, at) => mark.atMs !== list[at].atMs)) {
    marks.replaceChildren(
      ...list.map((mark) => {
        const show = () => (
          (tip.textContent = mark.text),
          (tip.hidden = false),
          tip.classList.toggle("flip", place(mark) > 0.5)
        );
        const hide = () => (tip.hidden = true);
        return h("button", {
          type: "button",
          class: "mark",
          "aria-label": mark.text,
          on: { mouseenter: show, focus: show, click: show, mouseleave: hide, blur: hide },
        });
      }),
    );
  }
  const place = (mark) => (x(mark.atMs) * scale) / picture.clientWidth;
  list.forEach((mark, at) => marks.children[at].style.setProperty("--x", `${(x(mark.atMs) * scale).toFixed(1)}px`));
}
