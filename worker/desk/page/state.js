// All that the page knows, in one place. Parts of the page draw themselves from it after each change.

import { byId, h } from "./dom.js";
import { total } from "./mix.js";
import { recall, remember } from "./prefs.js";
import { topFor } from "./taper.js";

/** Stands for the weighted categories that are not shown. No category has this name. */
export const UNSHOWN = "";

const GHOST_MS = 60_000;
const MOST_SPOKEN = 5; // sentences: several may come at once, and a screen reader reads each
const UNSEEN = 1e-6; // a share below this may be rounding

/**
 * @property {object|null} view The newest view document.
 * @property {object} series Points of the graphs: `{step_s, points}`.
 * @property {Array} phases Counts between changes.
 * @property {boolean} isReadOnly Whether the desk refuses changes.
 * @property {boolean} isHeard Whether the desk is heard.
 * @property {string} refusal Why the desk shows nothing, where it says so.
 * @property {object|null} draft Moves that are not stored: `{weights, base: {version, weights}, origin}`.
 * @property {boolean} isHolding Whether moves collect until they are applied.
 * @property {string|null} dragged The category whose fader is held.
 * @property {string} reason Why, as typed for the next change.
 * @property {number|null} lastsS How long the next change lasts, in seconds; null: for good.
 * @property {object|null} preview What the server expects of the draft.
 * @property {Map} ghosts Weights before somebody else's change: category -> `{weight, untilMs}`.
 * @property {object|null} others Somebody else's newest change: `{who, reason, atMs, points}`.
 * @property {string} said What went wrong, or was done, last.
 */
export const state = {
  view: null,
  series: { step_s: 5, points: [] },
  phases: [],
  isReadOnly: false,
  isHeard: false,
  refusal: "",
  draft: null,
  isHolding: false,
  isSending: false,
  dragged: null,
  reason: "",
  lastsS: null,
  preview: null,
  ghosts: new Map(),
  others: null,
  said: "",
  selected: null,
  dataset: null,
  wished: [],
  locked: new Set(),
  parked: new Map(),
  solo: null,
  top: 1,
  order: [],
};

const drawers = [];
let isAsked = false;

/** Have a part drawn after each change, at most once a frame. */
export function onChange(draw) {
  drawers.push(draw);
}

/** Say that something has changed. */
export function changed() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => {
    isAsked = false;
    for (const draw of drawers) draw(state);
  });
}

/** Say what went wrong, or was done, to eyes and ears. */
export function say(sentence) {
  state.said = sentence;
  speak(sentence);
  changed();
}

/** Say something to ears alone: eyes have it elsewhere. */
export function speak(sentence) {
  const spoken = byId("spoken");
  spoken.append(h("p", {}, sentence));
  while (spoken.children.length > MOST_SPOKEN) spoken.firstElementChild.remove();
}

/** Return the weights that are stored, by category; those not shown stand together as `UNSHOWN`. */
export function stored() {
  if (!state.view) return {};
  const rows = state.view.categories;
  const weights = Object.fromEntries(rows.map((row) => [row.name, row.weight]));
  const left = 1 - rows.reduce((sum, row) => sum + row.share, 0);
  const known = rows.find((row) => row.share > 0);
  if (left > UNSEEN && known) weights[UNSHOWN] = (left * known.weight) / known.share;
  return weights;
}

/** Return the version of the weights that are stored. Workers draw under them a moment later, if they are valid. */
export function storedVersion({ weights } = state.view) {
  return weights.problem ? weights.version : weights.stored_version;
}

/** Return the weights as the faders stand. */
export function current() {
  return state.draft?.weights ?? stored();
}

/** Whether nothing may be changed, and why; empty: it may. */
export function whyNot() {
  if (!state.view?.at_ms) return "Nothing was read yet.";
  if (state.isReadOnly) return "This desk is read-only.";
  if (!state.isHeard) return "The desk does not answer.";
  return state.view.redis.ok ? "" : "Redis does not answer.";
}

/** Fit the scale of the faders to the weights; it stands still while one is held. */
export function fitScale() {
  if (state.dragged !== null) return;
  const { [UNSHOWN]: rest, ...shown } = stored();
  const sum = total(shown) + (rest ?? 0);
  const shadows = state.view.categories.map((row) => (row.shadow ?? 0) * sum);
  const base = topFor(Math.max(0, ...Object.values(shown), ...shadows));
  const largest = Math.max(0, ...state.view.categories.map((row) => current()[row.name] ?? 0));
  state.top = largest > base ? topFor(largest) : base;
}

/** Return the rows of the view in the order in which they came first: a strip stays where it is. */
export function rowsInOrder() {
  const rows = new Map(state.view.categories.map((row) => [row.name, row]));
  const known = new Set(state.order);
  state.order.push(...[...rows.keys()].filter((name) => !known.has(name)));
  state.order = state.order.filter((name) => rows.has(name));
  return state.order.map((name) => rows.get(name));
}

/** Leave a mark at each fader that somebody else has moved; by shares where the numbers are of another scale. */
export function leaveGhosts(before, nowMs) {
  const after = new Map(state.view.categories.map((row) => [row.name, row]));
  const [from, to] = [before.categories, state.view.categories].map((rows) =>
    rows.reduce((sum, row) => sum + row.weight, 0),
  );
  state.ghosts.clear(); // marks of an earlier change would say nothing of this one
  const isOneScale = from < 2 * to && to < 2 * from;
  for (const row of before.categories) {
    const now = after.get(row.name);
    const weight = isOneScale ? row.weight : row.share * to;
    if (now && Math.abs(weight - now.weight) > UNSEEN * to)
      state.ghosts.set(row.name, { weight, untilMs: nowMs + GHOST_MS });
  }
}

/** Take away marks whose time is over. */
export function dropGhosts(nowMs) {
  for (const [name, ghost] of state.ghosts) if (ghost.untilMs < nowMs) state.ghosts.delete(name);
}

function place() {
  return `${state.view.prefix}/${state.dataset ?? ""}`;
}

/** Read the locks, mutes and solo of these weights, as this tab left them. */
export function recallStrips() {
  const kept = recall(sessionStorage, place()) ?? {};
  state.locked = new Set(kept.locked ?? []);
  state.parked = new Map(kept.parked ?? []);
  state.solo = kept.solo ?? null;
}

/** Remember the locks, mutes and solo of these weights. */
export function rememberStrips() {
  remember(sessionStorage, place(), { locked: [...state.locked], parked: [...state.parked], solo: state.solo });
}
