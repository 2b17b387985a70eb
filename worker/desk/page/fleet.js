// The panels of workers and of events.

import { byId, h, keep, setAttribute, setText } from "./dom.js";
import { bytes, clock, count, ms, short } from "./format.js";
import { SERVING } from "./header.js";
import { state } from "./state.js";

/** Draw the workers, one row each. */
export function drawWorkers() {
  const list = byId("workers");
  keep(
    list,
    state.view.workers,
    (worker) => worker.name,
    () => {
      const [name, place, applied, figures, problem] = [
        h("b"),
        h("span", { class: "reason" }),
        h("span", { class: "tag" }),
        h("p"),
        h("p", { class: "reason" }),
      ];
      const root = h("div", { class: "row" }, h("p", { class: "head" }, name, place, applied), figures, problem);
      return { root, update: (worker) => drawWorker({ root, name, place, applied, figures, problem }, worker) };
    },
  );
  list.classList.toggle("empty", !state.view.workers.length);
}

function drawWorker(parts, worker) {
  const has =
    { true: "has the weights", false: "has older weights" }[String(worker.has_applied)] ??
    "not asked for these weights yet";
  setText(parts.name, worker.name);
  setText(parts.place, [worker.host, worker.pid && `pid ${worker.pid}`].filter(Boolean).join(", "));
  setText(parts.applied, worker.state === SERVING ? has : `${worker.state}, ${has}`);
  setAttribute(
    parts.applied,
    "class",
    `tag${worker.has_applied !== false && !worker.problem && worker.state === SERVING ? "" : " alarm"}`,
  );
  setText(
    parts.figures,
    `${short(worker.requests_per_s)} requests/s, p50 ${ms(worker.latency_p50_ms)}, p99 ${ms(worker.latency_p99_ms)}, ` +
      `loop ${ms(worker.loop_lag_ms)}, ${bytes(worker.memory_bytes)}, ${count(worker.chunks)} chunks`,
  );
  setText(parts.problem, worker.problem ?? "");
  parts.root.title = `slowest ${ms(worker.latency_max_ms)}, told ${clock(worker.at_ms)}`;
}

/** Draw the last notable events, the newest first. */
export function drawEvents() {
  const shown = state.view.events.slice(0, 50);
  keep(
    byId("events"),
    shown,
    (one) => `${one.at_ms}/${one.worker}/${one.event}/${one.text}`,
    (one) =>
      h(
        "div",
        { class: `row ${one.level}` },
        h(
          "p",
          { class: "head" },
          h("time", { text: clock(one.at_ms) }),
          h("b", { text: one.event }),
          h("span", { class: "reason", text: one.worker }),
          one.level === "info" ? null : h("span", { class: "tag alarm", text: one.level }),
        ),
        h("p", { text: one.text, title: one.text }),
      ),
  );
  byId("events").classList.toggle("empty", !shown.length);
}
