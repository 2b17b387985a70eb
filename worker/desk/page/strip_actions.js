// What the controls of a strip do. Each ends in a draft, see `changes.js`.

import { discard, draftFrom, propose, release, setWeight } from "./changes.js";
import { confirmSolo } from "./dialogs.js";
import { parseWeight } from "./link.js";
import { solo, total } from "./mix.js";
import { changed, current, rememberStrips, say, state, stored, whyNot } from "./state.js";

const KEYS_REST_MS = 800; // keys are applied when they have rested this long

let keysTimer = null;
let atGrab = null;

/** Return what strips do; `fieldOf` finds the field of a category, for numbers typed on its fader. */
export function bindBank(fieldOf) {
  return {
    top: () => state.top,
    weight: (name) => current()[name] ?? 0,
    grab,
    drag,
    release: letGo,
    cancel,
    nudge,
    commit,
    restore,
    enter,
    mute,
    lock,
    solo: toggleSolo,
    select: (name) => ((state.selected = state.selected === name ? null : name), changed()),
    type: (name, digit) => typeInto(fieldOf(name), digit),
  };
}

function grab(name) {
  clearTimeout(keysTimer);
  atGrab = state.draft ? { ...state.draft, weights: { ...state.draft.weights } } : null;
  state.dragged = name;
  if (!whyNot()) draftFrom("move");
}

function drag(name, weight) {
  setWeight(name, weight);
}

function letGo(name, hasMoved) {
  state.dragged = null;
  if (hasMoved) void release();
  else back();
}

function cancel() {
  clearTimeout(keysTimer);
  state.dragged = null;
  back();
}

/** Take the faders back to where they stood when one was grabbed. */
function back() {
  if (atGrab) ((state.draft = atGrab), changed());
  else if (state.draft?.origin === "move" && !state.isHolding) discard();
  else changed();
  atGrab = null;
}

function nudge(name, weight) {
  if (!setWeight(name, weight)) return;
  clearTimeout(keysTimer);
  keysTimer = setTimeout(commit, KEYS_REST_MS);
}

function commit() {
  if (keysTimer === null || state.dragged !== null) return;
  clearTimeout(keysTimer);
  keysTimer = null;
  void release();
}

function restore(name) {
  if (!state.draft) return;
  setWeight(name, stored()[name] ?? 0);
  void release();
}

function enter(name, field) {
  const weight = parseWeight(field.value);
  if (weight === null) {
    field.setAttribute("aria-invalid", "true");
    say(`"${field.value.slice(0, 40)}" is no weight of ${name}; accepted: a number of at least 0, such as 0.7.`);
    return;
  }
  field.removeAttribute("aria-invalid");
  if (setWeight(name, weight)) void release();
}

function typeInto(field, digit) {
  field.focus();
  field.value = digit;
  field.setSelectionRange(digit.length, digit.length);
}

function mute(name) {
  const weight = current()[name] ?? 0;
  if (weight > 0) {
    if (total(current()) - weight <= 0)
      return void say(`${name} is the only one heard; accepted: another one above 0 first.`);
    if (!setWeight(name, 0)) return;
    state.parked.set(name, weight);
  } else {
    const back = state.parked.get(name);
    if (!back) return void say(`${name} has no fader to go back to; raise it or type a weight.`);
    if (!setWeight(name, back)) return;
    state.parked.delete(name);
  }
  rememberStrips();
  void release(`${weight > 0 ? "mute" : "unmute"} ${name}`);
}

function lock(name) {
  if (!state.locked.delete(name)) state.locked.add(name);
  rememberStrips();
  const open = state.view.categories.filter((row) => row.share > 0 && !state.locked.has(row.name));
  say(open.length < 2 && state.locked.size ? "All but one are locked: no share can move." : "");
}

async function toggleSolo(name) {
  const problem = whyNot();
  if (problem) return void say(problem);
  if (state.solo?.name === name) return void unsolo();
  if (!state.isHolding && !(await confirmSolo(name, state.dataset))) return;
  const before = state.solo?.before ?? current();
  propose(solo(before, name), "move");
  state.solo = { name, before };
  rememberStrips();
  void release(`solo ${name}`);
}

/** Bring back the mix before the solo. */
function unsolo() {
  const { name, before } = state.solo;
  state.solo = null;
  rememberStrips();
  propose(before, "move");
  void release(`end of solo ${name}`);
}
