// The bank of channel strips: the rail with the scale, the strips, and what their controls do.

import { bindBank } from "./strip_actions.js";
import { byId, h, keep, setText } from "./dom.js";
import { share, weight as written } from "./format.js";
import { shares, total } from "./mix.js";
import { current, fitScale, rowsInOrder, state, stored, UNSHOWN, whyNot } from "./state.js";
import { isInShadow } from "./rule.js";
import { FIGURES, makeStrip } from "./strip.js";
import { ticks, toPosition } from "./taper.js";

const SAMPLE = 32; // chunks of a typical batch
const MANY = 12; // more strips than this are narrower
const LABELS = 0.06; // labels nearer than this part of the way would touch

/** Make the bank; return what draws it. */
export function makeBank() {
  const lines = h("div", { class: "lines", "aria-hidden": "true" });
  const scale = h("div", { class: "scale" });
  const rail = makeRail(scale);
  const strips = h("div", { class: "strips" });
  byId("bank").append(h("div", { class: "bed" }, lines, rail, strips));
  const act = bindBank((name) => strips.querySelector(`[data-name="${CSS.escape(name)}"] .weight`));
  return () => {
    if (!state.view) return;
    fitScale();
    drawScale(scale, lines);
    byId("bank").classList.toggle("many", state.view.categories.length > MANY);
    byId("bank").classList.toggle("shadowed", isInShadow(state.view.rule));
    drawStrips(strips, act);
    setText(byId("count"), countText());
  };
}

function makeRail(scale) {
  const label = (key, words) => h("span", { class: `figure ${key}`, text: words });
  const figures = FIGURES.map(([key, words]) => label(key, words));
  figures.splice(1, 0, label("weight", "weight"));
  return h(
    "div",
    { class: "rail", "aria-hidden": "true" },
    h("span", { class: "scribble" }),
    label("ready", "READY"),
    h("div", { class: "lanes" }, scale),
    ...figures,
    h("span", { class: "keys" }),
  );
}

/** Lines at round weights run through the whole bank; the rail names the weights, and the shares they come to. */
function drawScale(scale, lines) {
  const sum = total(stored());
  let last = Infinity;
  const shown = ticks(state.top).map((weight) => {
    const at = toPosition(weight, state.top);
    const isNamed = last - at >= LABELS;
    if (isNamed) last = at;
    return { weight, at, isNamed, share: sum > 0 ? weight / sum : 0 };
  });
  const key = (one) => `${one.weight}/${one.at}/${one.share.toFixed(4)}`;
  keep(
    lines,
    shown,
    (one) => `${one.weight}/${one.at}`,
    (one) => placed("span", one.at),
  );
  keep(
    scale,
    shown.filter((one) => one.isNamed),
    key,
    (one) => {
      const text = one.share <= 1 ? scaleShare(one.share) : "";
      return placed("span", one.at, h("b", { text: written(one.weight) }), h("i", { text }));
    },
  );
}

function scaleShare(part) {
  return part >= 0.0995 ? `${Math.round(part * 100)} %` : share(part).replace(/\.?0+(?= )/, "");
}

function placed(tag, at, ...children) {
  const made = h(tag, {}, ...children);
  made.style.setProperty("--at", at.toFixed(4));
  return made;
}

function drawStrips(strips, act) {
  const weights = current();
  const [before, parts, sum] = [stored(), shares(weights), total(stored())];
  const isReadOnly = whyNot() !== "";
  const previewed = new Map(
    (state.draft && state.preview ? state.preview.categories : []).map((row) => [row.name, row]),
  );
  const missing = state.draft ? Object.keys(weights).filter((name) => name !== UNSHOWN && !(name in before)) : [];
  const rows = [...rowsInOrder(), ...missing.map(rowOf)];
  keep(
    strips,
    rows.map((row) => {
      const { name } = row;
      const [ghost, expected] = [state.ghosts.get(name), previewed.get(name)];
      const storedWeight = before[name] ?? 0;
      return {
        row,
        name,
        top: state.top,
        total: sum,
        storedWeight,
        weight: weights[name] ?? 0,
        fraction: parts[name] ?? 0,
        spread: expected?.spread ?? null,
        isShifted: Math.abs((parts[name] ?? 0) - row.share) > 5e-10,
        expected: expected ? expected.expected : state.view.unit === "chunks" ? (parts[name] ?? 0) * SAMPLE : null,
        repeats: expected ? expected.repeats_per_hour : row.repeats_per_hour,
        ghostWeight: ghost?.weight ?? null,
        isDisabled: isReadOnly || state.locked.has(name),
        isReadOnly,
        isLocked: state.locked.has(name),
        isSelected: state.selected === name,
        isMuted: state.parked.has(name) && (weights[name] ?? 0) === 0,
        isSolo: state.solo?.name === name,
      };
    }),
    (shown) => shown.name,
    (shown) => makeStrip(shown.name, act),
  );
}

/** A category of a link or a preset that the view does not hold. */
function rowOf(name) {
  return { name, weight: 0, share: 0, shadow: null, ready: null, repeats: null, drawn: null, repeats_per_hour: null };
}

function countText() {
  const { categories_total: all, categories_left_out: out } = state.view;
  return out ? `${all - out} of ${all} categories` : `${all} categories`;
}
