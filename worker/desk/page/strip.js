// One channel strip: name, fader and meter, figures, and its three keys.

import { h, setAttribute, setText } from "./dom.js";
import { makeFader } from "./fader.js";
import { brief, count, share, short, sigmas, tenths, weight as written } from "./format.js";
import { toPosition } from "./taper.js";

const LOCK = "M4 7V5a4 4 0 0 1 8 0v2h1v7H3V7zm2 0h4V5a2 2 0 0 0-4 0z";
const OFF = 3; // standard deviations

/** The figures of a strip, from top to bottom: class and words. The rail at the left shows the words. */
export const FIGURES = [
  ["share", "share"],
  ["shadow", "shadow"],
  ["drawn", "drawn"],
  ["off", "off by, σ"],
  ["of32", "in 32"],
  ["repeats", "repeats / h"],
  ["heard", "repeats"],
];

/**
 * Make the strip of a category.
 * @param {string} name The category.
 * @param {object} act What its controls do, see `fader.js`; also `enter`, `mute`, `solo`, `lock`, `select`.
 */
export function makeStrip(name, act) {
  const scribble = h(
    "button",
    {
      type: "button",
      class: "scribble",
      title: `${name}: show in the graph`,
      on: { click: () => act.select(name) },
    },
    h("span", { text: name }),
  );
  const ready = figure("ready", "READY chunks");
  const fader = makeFader(name, act);
  const meter = makeMeter();
  const figures = Object.fromEntries(FIGURES.map(([key, words]) => [key, figure(key, words)]));
  const field = makeField(name, act);
  const keys = makeKeys(name, act);
  const root = h(
    "div",
    { class: "strip", role: "group", "aria-label": name, "data-name": name },
    scribble,
    ready.root,
    h("div", { class: "lanes" }, fader.root, meter.root),
    figures.share.root,
    field,
    figures.shadow.root,
    figures.drawn.root,
    figures.off.root,
    figures.of32.root,
    figures.repeats.root,
    figures.heard.root,
    keys.root,
  );
  const parts = { root, scribble, ready, fader, meter, figures, field, keys };
  return { root, field, update: (shown) => update(parts, shown) };
}

function figure(key, words) {
  const value = h("span");
  return { root: h("p", { class: `figure ${key}` }, h("span", { class: "hidden", text: `${words} ` }), value), value };
}

function makeField(name, act) {
  const field = h("input", {
    class: "weight",
    inputmode: "decimal",
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": `${name} weight, typed`,
  });
  let before = ""; // what stood there when it was entered: others, and rules, may move the weight meanwhile
  const show = () => (field.value = before = written(act.weight(name)));
  field.addEventListener("focus", () => (show(), field.select()));
  field.addEventListener("blur", () => {
    if (field.value !== before) act.enter(name, field);
    else field.value = brief(act.weight(name));
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") (show(), field.blur());
    if (event.key === "Enter" && !event.isComposing) field.blur();
  });
  return field;
}

function makeKeys(name, act) {
  const key = (words, does, ...face) =>
    h(
      "button",
      {
        type: "button",
        class: "key",
        "aria-pressed": "false",
        "aria-label": `${words} ${name}`,
        title: words,
        on: { click: () => does(name) },
      },
      ...face,
    );
  const lockFace = svgLock();
  const [mute, solo, lock] = [
    key("Mute", act.mute, "M"),
    key("Solo", act.solo, "S"),
    key("Lock the share of", act.lock, lockFace),
  ];
  mute.title = "Mute: weight 0, remembers its fader";
  solo.title = "Solo: this category alone, until it is pressed again";
  lock.title = "Lock: keeps its share, the others give way in proportion";
  return { root: h("div", { class: "keys" }, mute, solo, lock), mute, solo, lock };
}

function svgLock() {
  const face = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  face.setAttribute("viewBox", "0 0 16 16");
  face.setAttribute("aria-hidden", "true");
  path.setAttribute("d", LOCK);
  face.append(path);
  return face;
}

function makeMeter() {
  const level = h("span", { class: "level" });
  const whisker = h("span", { class: "whisker" });
  const would = h("span", { class: "would" });
  const root = h("div", { class: "meter", role: "img" }, h("span", { class: "track" }, level, whisker, would));
  return { root, level, whisker, would };
}

/** Whether a category is drawn further from its weight than chance allows. */
function isOff(drawn) {
  return Boolean(drawn?.is_enough && Math.abs(drawn.z) > OFF);
}

function update(parts, shown) {
  const { row, fraction, isShifted, expected, spread, repeats, total, top } = shown;
  parts.fader.update(shown);
  setText(parts.ready.value, short(row.ready));
  parts.ready.root.classList.toggle("none", row.ready === 0);
  updateMeter(parts.meter, row, total, top);
  setText(parts.figures.share.value, share(fraction));
  setText(parts.figures.shadow.value, share(row.shadow));
  setText(parts.figures.drawn.value, share(row.drawn?.share));
  setText(parts.figures.off.value, row.drawn?.is_enough ? sigmas(row.drawn.z) : "–");
  setText(parts.figures.of32.value, tenths(expected) + (spread ? ` ±${tenths(spread)}` : ""));
  setText(parts.figures.repeats.value, tenths(repeats));
  setText(parts.figures.heard.value, tenths(row.repeats));
  setAttribute(parts.figures.heard.root, "title", heardWords(row));
  parts.root.classList.toggle("off-weight", isOff(row.drawn));
  parts.root.classList.toggle("pending", shown.weight !== shown.storedWeight);
  parts.root.classList.toggle("shifted", isShifted);
  parts.root.classList.toggle("silent", shown.weight === 0);
  if (document.activeElement !== parts.field) parts.field.value = brief(shown.weight);
  setAttribute(parts.field, "title", written(shown.weight));
  setAttribute(parts.field, "readonly", shown.isDisabled);
  setKeys(parts, shown);
}

function setKeys({ keys, scribble }, { isMuted, isSolo, isLocked, isSelected, isReadOnly }) {
  setAttribute(keys.mute, "aria-pressed", String(isMuted));
  setAttribute(keys.solo, "aria-pressed", String(isSolo));
  setAttribute(keys.lock, "aria-pressed", String(isLocked));
  setAttribute(scribble, "aria-pressed", String(isSelected));
  for (const key of [keys.mute, keys.solo]) key.disabled = isReadOnly || isLocked;
}

function updateMeter(meter, { drawn, shadow }, total, top) {
  const at = (part) => toPosition(part * total, top).toFixed(4);
  meter.root.classList.toggle("few", Boolean(drawn && !drawn.is_enough));
  meter.level.hidden = !drawn;
  meter.whisker.hidden = !(drawn?.expected > 0);
  meter.would.hidden = shadow === null;
  if (shadow !== null) meter.would.style.setProperty("--at", at(shadow));
  setAttribute(meter.root, "aria-label", meterWords(drawn) + (shadow === null ? "" : `, shadow ${share(shadow)}`));
  if (!drawn) return;
  meter.level.style.setProperty("--at", at(drawn.share));
  meter.whisker.style.setProperty("--low", at(Math.max(0, drawn.low)));
  meter.whisker.style.setProperty("--high", at(drawn.high));
}

function heardWords({ repeats, most_repeats: most }) {
  if (repeats === null) return "How often its chunks were drawn is not known";
  return `Each chunk was drawn ${tenths(repeats)} times since counts began, the most drawn one about ${tenths(most)}`;
}

function meterWords(drawn) {
  if (!drawn) return "Nothing drawn";
  const judged = drawn.is_enough ? `${sigmas(drawn.z)} standard deviations` : "too few draws to judge";
  const found = `Drawn ${share(drawn.share)} of ${share(drawn.expected_share)} expected`;
  return `${found}, ${count(drawn.count)} chunks, ${judged}`;
}
