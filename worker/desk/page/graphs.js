// The graphs of the last 15 minutes: shares drawn against their weights, rate, requests waiting, latency.

import { makeChart } from "./chart.js";
import { byId, setText } from "./dom.js";
import { ago, digits, share, short, tenths } from "./format.js";
import { toPosition } from "./taper.js";
import { state } from "./state.js";

const SPAN_MS = 15 * 60_000;
const MOST_LINES = 8;
const SHARES = [0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1];
const SMALL = 128;
const LEAST_TOP = 4; // a scale that fits one waiting request would make much of it

/** Make the graphs; return what draws them. */
export function makeGraphs() {
  const mix = makeChart("Share drawn, dashed: the weight", 250, 104);
  const rate = makeChart("Requests / s", SMALL);
  const lag = makeChart("Requests waiting", SMALL);
  const latency = makeChart("Latency in ms: p50, dashed: p99", SMALL);
  byId("charts").append(mix.root, rate.root, lag.root, latency.root);
  mix.root.classList.add("large");
  let drawn = null;
  return () => {
    const { view } = state;
    const series = recent(state);
    const shown = [series.points.at(-1)?.at_ms, view.weights.version, state.selected, view.marks.length];
    const key = [...shown, byId("charts").clientWidth].join("/");
    if (key === drawn) return;
    drawn = key;
    const common = frame(view, series);
    mix.draw(sharesOf(view, series, common));
    rate.draw(one("Requests a second", series, common, [["requests_per_s", "plain"]]));
    lag.draw(one("Requests waiting", series, common, [["lag", "plain"]]));
    latency.draw(
      one("Latency in ms", series, common, [
        ["latency_p50_ms", "plain"],
        ["latency_p99_ms", "dashed"],
      ]),
    );
    setText(byId("graphs-key"), keyText(view));
  };
}

/** Keep the points of the span that is drawn. */
function recent({ view, series }) {
  const fromMs = view.at_ms - SPAN_MS;
  return { ...series, points: series.points.filter((point) => point.at_ms >= fromMs) };
}

function frame(view, series) {
  const toMs = Math.max(view.at_ms, series.points.at(-1)?.at_ms ?? 0);
  const fromMs = Math.min(toMs - 60_000, series.points[0]?.at_ms ?? toMs);
  const marks = view.marks
    .filter((mark) => mark.at_ms >= fromMs)
    .map((mark) => ({ atMs: mark.at_ms, text: markText(mark, view.at_ms) }));
  return { fromMs, toMs, marks, stepMs: series.step_s * 1000 };
}

/** Write a change: who, when, what, why. */
function markText(mark, nowMs) {
  const list = Object.entries(mark.points ?? {}).sort((one, other) => Math.abs(other[1]) - Math.abs(one[1]));
  const words = list
    .slice(0, 4)
    .map(([name, points]) => `${name} ${points > 0 ? "+" : "−"}${Math.abs(points).toFixed(1)}`);
  const more = list.length > 4 ? ` and ${list.length - 4} more` : "";
  const why = mark.reason ? ` (${mark.reason})` : "";
  return `${mark.who || "somebody"}, ${ago(mark.at_ms, nowMs)}: ${words.join(", ")}${more} points${why}`;
}

function keyText(view) {
  const chosen = state.selected
    ? `${state.selected} stands out.`
    : "Press a name above a fader to make its line stand out.";
  const left = view.categories.length > MOST_LINES ? ` The ${MOST_LINES} largest are drawn.` : "";
  return `Vertical lines are changes. ${chosen}${left}`;
}

function sharesOf(view, { points }, common) {
  const names = view.categories
    .filter((row, at) => (at < MOST_LINES && row.share > 0) || row.name === state.selected)
    .map((row) => row.name);
  const max =
    Math.max(
      0.1,
      ...points.flatMap((point) => names.map((name) => Math.max(point.shares[name] ?? 0, point.weights[name] ?? 0))),
    ) * 1.06;
  const of = (field, name) =>
    points.filter((point) => point[field][name] !== undefined).map((point) => [point.at_ms, point[field][name]]);
  const kind = (name) => (name === state.selected ? "chosen" : state.selected ? "quiet" : "plain");
  const weights = names.map((name) => ({
    kind: `${kind(name)} dashed`,
    points: steps(of("weights", name), common.marks),
  }));
  const lines = names.map((name) => ({
    kind: kind(name),
    name: name.length > 15 ? `${name.slice(0, 14)}…` : name,
    points: of("shares", name),
  }));
  const scale = {
    at: (value) => toPosition(value, max),
    ticks: spread(
      SHARES.filter((part) => part <= max),
      max,
    ),
  };
  const last = points.at(-1);
  const summary = `Share drawn of ${names
    .slice(0, 6)
    .map((name) => `${name} ${share(last?.shares[name])}`)
    .join(", ")}; ${common.marks.length} changes`;
  return { ...common, ...scale, lines: [...weights, ...lines], summary };
}

/** Keep ticks whose names do not touch. */
function spread(parts, max) {
  let last = -1;
  return parts
    .map((at) => ({ at, text: share(at).replace(".0 ", " ").replace(".00 ", " "), place: toPosition(at, max) }))
    .filter(({ place }) => (place - last > 0.06 ? ((last = place), true) : false));
}

/** Draw weights as steps: they change at once, at the mark of the change where there is one. */
function steps(points, marks) {
  return points.flatMap(([ms, value], at) => {
    const [beforeMs, before] = at ? points[at - 1] : [ms, value];
    if (before === value) return [[ms, value]];
    const changedMs = marks.findLast((mark) => mark.atMs > beforeMs && mark.atMs <= ms)?.atMs ?? ms;
    return [
      [changedMs, before],
      [changedMs, value],
      [ms, value],
    ];
  });
}

function one(title, { points }, common, fields) {
  const lines = fields.map(([field, kind]) => ({
    kind,
    points: points
      .filter((point) => point[field] !== null && point[field] !== undefined)
      .map((point) => [point.at_ms, point[field]]),
  }));
  const largest = Math.max(0, ...lines.flatMap((line) => line.points.map(([, value]) => value)));
  const max = niceTop(Math.max(largest, LEAST_TOP));
  const ticks = [0, max / 2, max].map((at) => ({
    at,
    text: at < 10 && !Number.isInteger(at) ? tenths(at) : short(at),
  }));
  const now = lines.map((line) => digits(line.points.at(-1)?.[1])).join(" and ");
  return {
    ...common,
    lines,
    ticks,
    at: (value) => value / max,
    summary: `${title}: now ${now}, at most ${digits(largest)}`,
  };
}

function niceTop(largest) {
  if (!(largest > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  return [1, 2, 4, 6, 10].map((nice) => nice * power).find((top) => top >= largest) ?? largest;
}
