// The top of the page: whether the desk is heard, who has the weights, and the figures of now.

import { unappliedText } from "./changes.js";
import { byId, h, keep, setAttribute, setText } from "./dom.js";
import { appliedBy, chance, clock, digits, duration, ms, short } from "./format.js";
import { state } from "./state.js";

/** What a worker says of itself once it is ready. */
export const SERVING = "serving";

/** Draw the state of the connection: words and shape, not colour alone. */
export function drawLink(heardAt) {
  const { view, isHeard } = state;
  const lost = !isHeard ? `Nothing heard since ${clock(heardAt)}` : view && !view.redis.ok ? "Redis is lost" : "";
  setText(
    byId("link-text"),
    view ? lost || `Live${view.at_ms ? ` ${clock(view.at_ms)}` : ""}` : state.refusal || "Connecting",
  );
  setAttribute(byId("link"), "class", `link ${lost ? "lost" : "live"}`);
  document.body.classList.toggle("stale", Boolean(view) && lost !== "");
}

/** Draw who has applied the weights in force. */
export function drawApplied() {
  const { applied, weights, prefix } = state.view;
  setText(byId("brand"), prefix);
  document.title = `${prefix} · desk`;
  setText(byId("applied"), applied.of ? appliedBy(applied) : unappliedText());
  const isApplied = state.view.workers.length && !applied.missing.length;
  setAttribute(byId("applied"), "class", `applied${isApplied ? "" : " alarm"}`);
  setText(byId("version"), `version ${weights.version}${weights.source === "redis" ? "" : `, from ${weights.source}`}`);
}

/** Draw the figures of now. */
export function drawReadouts() {
  keep(
    byId("readouts"),
    figures(state.view),
    (one) => one.name,
    ({ name, title }) => {
      const value = h("dd");
      const root = h("div", { title }, h("dt", { text: name }), value);
      const update = (one) => {
        setText(value, one.text);
        root.classList.toggle("alarm", one.isAlarm ?? false);
      };
      return { root, update };
    },
  );
}

function figures({ rate, backlog, workers, fit, window_s: windowS }) {
  const live = workers.filter((one) => one.state === SERVING);
  const worst = (field) => Math.max(...live.map((one) => one[field] ?? -1), -1);
  const latency = (field) => (worst(field) < 0 ? "–" : ms(worst(field)));
  const oldest = backlog.oldest_ms === null ? "" : `, oldest ${duration(backlog.oldest_ms)}`;
  return [
    {
      name: "requests / s",
      text: short(rate.requests_per_s),
      title: "Requests answered in a second, over all workers",
    },
    { name: "chunks / s", text: short(rate.chunks_per_s), title: "Chunks drawn in a second" },
    {
      name: "errors / s",
      text: digits(rate.errors_per_s),
      title: "Requests refused in a second",
      isAlarm: rate.errors_per_s > 0,
    },
    { name: "waiting", text: short(backlog.lag), title: "Requests that no worker has read yet" },
    { name: "in hand", text: short(backlog.pending), title: `Requests read and not answered${oldest}` },
    { name: "latency p50", text: latency("latency_p50_ms"), title: "Of the slowest worker" },
    { name: "latency p99", text: latency("latency_p99_ms"), title: "Of the slowest worker" },
    {
      name: "workers",
      text: `${live.length} of ${workers.length}`,
      title: "Workers that are ready",
      isAlarm: live.length < workers.length || !workers.length,
    },
    {
      name: "fit to weights",
      text: fit.is_enough ? `p = ${chance(fit.p)}` : "too few draws",
      isAlarm: fit.is_enough && fit.p < 1e-6,
      title: `Chi-square over ${short(fit.chunks)} chunks, each against the weights it was drawn under`,
    },
    {
      name: "drawn over",
      text: `${Math.round(windowS)} s`,
      title: "What the meters cover: never longer than since the last change",
    },
  ];
}
