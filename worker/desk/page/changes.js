// Moves of faders, from the first touch until they are stored, refused or dropped.
//
// A move makes a draft: the weights as the faders stand, on the base that they were taken from. Applying sends the
// draft with the version of its base, so a change that was not seen is never overwritten. `Hold changes` keeps the
// draft open over several moves.

import { post, RefusedError } from "./api.js";
import { appliedBy, moveText } from "./format.js";
import { move, moved, moves, shares, total } from "./mix.js";
import { changed, current, say, state, stored, storedVersion, UNSHOWN, whyNot } from "./state.js";

const SETTLE_MS = 3_000; // views that were read before a change may arrive after it

const OWN_KEPT = 50;

let onConflict = () => undefined;
let settling = null;
let sending = Promise.resolve();
let atRest = Promise.resolve();
const own = [];

/** Have somebody ask the person when a change came too late. */
export function bindConflict(ask) {
  onConflict = ask;
}

/** Begin a draft unless there is one. */
export function draftFrom(origin) {
  state.draft ??= { weights: stored(), base: { version: storedVersion(), weights: stored() }, origin };
  return state.draft;
}

/** Put a whole mix on the faders, not applied. */
export function propose(weights, origin) {
  const zero = Object.fromEntries(Object.keys(stored()).map((name) => [name, 0]));
  draftFrom(origin);
  state.draft.origin = origin;
  state.draft.weights = { ...zero, ...weights };
  changed();
}

/** Move a fader; return whether it moved. */
export function setWeight(name, weight, origin = "move") {
  const problem = whyNot();
  if (problem) return (say(problem), false);
  const result = move(current(), name, weight, withUnshown(state.locked));
  if (result.problem) return (say(result.problem), false);
  draftFrom(origin).weights = result.weights;
  state.said = "";
  changed();
  return true;
}

/** Locks hold what is not shown as well: nobody sees it give way. */
function withUnshown(locked) {
  return locked.size && stored()[UNSHOWN] ? new Set([...locked, UNSHOWN]) : locked;
}

/** A fader was let go, or a number typed: apply it unless moves are held. */
export async function release(reason) {
  while (state.isSending) await atRest; // the base is what is stored by then
  if (!state.draft) return;
  if (!moves(state.draft.base.weights, state.draft.weights).length) return void discard();
  if (!state.isHolding) await apply(reason);
}

/** Drop what is not applied. */
export function discard() {
  state.draft = null;
  state.preview = null;
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  changed();
}

/** Return the body of a change: only what was moved where the rest stays, all of it otherwise. */
export function bodyOf(draft) {
  const { [UNSHOWN]: rest, ...weights } = draft.weights;
  if (rest === undefined || rest !== draft.base.weights[UNSHOWN]) return { weights: positive(weights) };
  const names = moved(draft.base.weights, draft.weights);
  return { weights: Object.fromEntries(names.map((name) => [name, weights[name] ?? 0])), keep_others: true };
}

function positive(weights) {
  return Object.fromEntries(Object.entries(weights).filter(([, weight]) => weight > 0));
}

/** Store the draft, for the time that was chosen; a reason that was typed counts more than the one given. */
export async function apply(otherwise = "") {
  while (state.isSending) await atRest;
  const draft = state.draft;
  if (!draft) return;
  if (!(total(draft.weights) > 0)) return void say("All weights would be 0; accepted: at least one above 0.");
  const reason = state.reason || otherwise || reasonOf(draft);
  const body = {
    dataset: state.dataset,
    ...bodyOf(draft),
    if_version: draft.base.version,
    reason,
    for_s: state.lastsS,
  };
  const sent = draft.weights;
  const made = await send("weights", body, draft, (change) => keepView(draft, sent, change.version));
  if (made) Object.assign(state, { reason: "", lastsS: null });
}

/** Send a change; ask the person where it came too late. Returns what was made, or null. */
export async function send(path, body, draft = null, done = () => undefined) {
  const [sent, rest] = [draft?.weights, startSending()];
  const asked = post(path, { ...body, who: document.getElementById("who").value.trim() || null });
  sending = asked.catch(() => undefined);
  try {
    const made = await asked;
    own.push(made);
    own.splice(0, own.length - OWN_KEPT);
    done(made);
    if (draft && state.draft === draft) finish(draft, sent, made.version);
    say(toldOf(made));
    return made;
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    if (error.status === 409 && error.body.in_force) onConflict(error.body.in_force, draft, body, path);
    else say(error.message);
    if (draft?.origin === "move" && !state.isHolding && error.status !== 409) discard();
    return null;
  } finally {
    state.isSending = false;
    rest();
    changed();
  }
}

function startSending() {
  state.isSending = true;
  changed();
  let rest;
  atRest = new Promise((resolve) => (rest = resolve));
  return rest;
}

/** The draft is stored. What was moved meanwhile stays, on the base of what was stored. */
function finish(draft, sent, version) {
  if (draft.weights === sent) discard();
  else draft.base = { version, weights: sent };
}

function reasonOf(draft) {
  return { link: "mix of a link", preset: "preset" }[draft.origin] ?? "";
}

/** Say why no worker has applied weights: none is live, or nobody has asked for this dataset yet. */
export function unappliedText() {
  const isLive = state.view.workers.length > 0;
  return isLive ? "Workers read these weights with the first request for them." : "No worker is live.";
}

/** Write what came of a change. */
function toldOf(made) {
  const { applied } = made;
  if (!applied) return "Stored."; // a preset, which nobody draws under by itself
  if (!applied.of) return `Stored. ${unappliedText()}`;
  const more = (made.warnings ?? []).filter((one) => !one.startsWith("applied by")).map((one) => `${one}.`);
  return [`${appliedBy(applied)}.`, ...more].join(" ");
}

/** Show what was stored at once: the next view is up to a second away, and may have been read before. */
function keepView(draft, sent, version) {
  settling = { weights: sent, version, base: draft.base.version, untilMs: Date.now() + SETTLE_MS };
  state.ghosts.clear();
  state.others = null;
  overlay(state.view);
}

/** Whether the weights of a view were stored by this page. A view may come before the answer to the change. */
export async function isMine({ version, set_by: by }) {
  await sending;
  return own.some((made) => (by?.entry ? made.entry === by.entry : made.version === version));
}

/** Put weights that this page has just stored into a view that was read before, or before workers drew under them. */
export function overlay(view) {
  if (!settling || Date.now() > settling.untilMs) return;
  const isNew = storedVersion(view) === settling.version && view.weights.version === settling.base;
  if (storedVersion(view) !== settling.base && !isNew) return;
  const after = shares(settling.weights);
  view.weights.version = view.weights.stored_version = settling.version;
  for (const row of view.categories) {
    row.weight = settling.weights[row.name] ?? 0;
    row.share = after[row.name] ?? 0;
  }
}

/** Write which weights were moved, and that the rest gives way. */
export function movedText(before, after) {
  const names = new Set(moved(before, after));
  const list = moves(before, after).filter((one) => one.name !== UNSHOWN);
  const own = list.filter((one) => names.has(one.name));
  return movesText(own) + (own.length && own.length < list.length ? "; the rest in proportion" : "");
}

/** Write moves as a person reads them: voice 40.0 % → 70.0 %. */
export function movesText(list, most = 4) {
  const words = list.slice(0, most).map((one) => `${one.name} ${moveText(one.before, one.after)}`);
  return words.join(", ") + (list.length > most ? ` and ${list.length - most} more` : "");
}
