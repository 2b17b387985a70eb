// A and B: what two phases drew, side by side. A phase is the time between two changes of the weights.

import { byId, h, keep, setText } from "./dom.js";
import { chance, clock, count, duration, share, sigmas } from "./format.js";
import { changed, state } from "./state.js";

const MOST_ROWS = 64;
const chosen = { a: null, b: null };

/** Make the panel; return what draws it. */
export function makeCompare() {
  const [a, b] = ["a", "b"].map((side) => {
    const select = h("select", { "aria-label": `Phase ${side.toUpperCase()}` });
    select.addEventListener("change", () => ((chosen[side] = select.value), changed()));
    return select;
  });
  const body = h("tbody");
  const heads = ["category", "A drawn", "A weight", "off by, σ", "B drawn", "B weight", "off by, σ", "B − A"];
  const table = h(
    "table",
    { class: "sheet" },
    h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col", text })))),
    body,
  );
  const [tellA, tellB] = [h("p", { class: "reason" }), h("p", { class: "reason" })];
  const none = h("p", { class: "none", text: "One phase so far. After the next change, two can be compared." });
  const sheet = h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Two phases side by side" },
    table,
  );
  const pickers = h(
    "div",
    { class: "pair-of" },
    h("div", {}, h("label", { class: "pick" }, "A ", a), tellA),
    h("div", {}, h("label", { class: "pick" }, "B ", b), tellB),
  );
  byId("compare").append(none, pickers, sheet);
  return () => {
    const phases = state.phases.filter((phase) => phase.chunks > 0);
    none.hidden = phases.length > 1;
    pickers.hidden = sheet.hidden = phases.length < 2;
    if (phases.length < 2) return;
    const picked = [pick(a, "a", phases, phases.at(-2)), pick(b, "b", phases, phases.at(-1))];
    [tellA, tellB].forEach((tell, at) => setText(tell, told(picked[at])));
    keep(body, rows(...picked), (row) => row.name, makeRow);
  };
}

/** Offer the phases in a list, and return the one that is chosen. */
function pick(select, side, phases, otherwise) {
  keep(
    select,
    phases,
    (phase) => String(phase.from_ms),
    (phase) => {
      const root = h("option", { value: String(phase.from_ms) });
      const update = (one) =>
        setText(root, `${clock(one.from_ms)} to ${one.to_ms ? clock(one.to_ms) : "now"}, ${one.version}`);
      return { root, update };
    },
  );
  const found = phases.find((phase) => String(phase.from_ms) === chosen[side]) ?? otherwise;
  select.value = String(found.from_ms);
  return found;
}

function told({ from_ms: fromMs, to_ms: toMs, chunks, p }) {
  const fit = p === null || p === undefined ? "too few draws to judge" : `p = ${chance(p)}`;
  return `${duration((toMs ?? Date.now()) - fromMs)}, ${count(chunks)} chunks, ${fit}`;
}

function rows(a, b) {
  const [inA, inB] = [a, b].map((phase) => new Map(phase.categories.map((one) => [one.name, one])));
  return [...new Set([...inB.keys(), ...inA.keys()])]
    .slice(0, MOST_ROWS)
    .map((name) => ({ name, a: inA.get(name), b: inB.get(name) }));
}

function makeRow({ name }) {
  const cells = Array.from({ length: 7 }, () => h("td"));
  const root = h("tr", {}, h("th", { scope: "row", text: name }), ...cells);
  const update = ({ a, b }) => {
    const points = ((b?.share ?? 0) - (a?.share ?? 0)) * 100;
    const texts = [
      share(a?.share),
      share(a?.expected_share),
      sigmas(a?.z),
      share(b?.share),
      share(b?.expected_share),
      sigmas(b?.z),
      `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)}`,
    ];
    texts.forEach((text, at) => setText(cells[at], text));
  };
  return { root, update };
}
