// The desk in the browser: it follows the server, keeps what it knows in `state.js`, and has each part draw itself.

import { get } from "./api.js";
import { makeBank } from "./bank.js";
import { bindConflict, isMine, movedText, overlay } from "./changes.js";
import { makeCompare } from "./compare.js";
import { askWhose } from "./dialogs.js";
import { byId, h, keep } from "./dom.js";
import { follow } from "./feed.js";
import { bindFind } from "./find.js";
import { drawEvents, drawWorkers } from "./fleet.js";
import { makeGraphs } from "./graphs.js";
import { drawApplied, drawLink, drawReadouts } from "./header.js";
import { makeHistory } from "./history.js";
import { readMix, writeMix } from "./link.js";
import { makeMoves, openLink } from "./moves.js";
import { drawNotices } from "./notices.js";
import { bindPrefs } from "./prefs.js";
import { makePresets } from "./presets.js";
import { drawRule, isByRule } from "./rule.js";
import { drawSessions } from "./sessions.js";
import {
  changed,
  current,
  dropGhosts,
  leaveGhosts,
  onChange,
  recallStrips,
  rememberStrips,
  say,
  speak,
  state,
  UNSHOWN,
} from "./state.js";

const MOST_POINTS = 180;

/** The last view whose weights were stored and drawn under: a change is stored shortly before it is drawn under. */
let settled = null;

const receivers = {
  view: receiveView,
  series: (series) => (state.series = series),
  point: (point) => (state.series.points = [...state.series.points, point].slice(-MOST_POINTS)),
  phases: ({ phases }) => (state.phases = phases),
};

function receive(kind, document) {
  receivers[kind](document);
  changed();
}

function receiveView(view) {
  const before = state.view;
  const isFirst = !before?.at_ms || before.dataset !== view.dataset;
  overlay(view);
  state.view = view;
  if (!view.at_ms) return;
  if (isFirst) ((settled = null), start());
  else if (before.weights.version !== view.weights.version) void noteOthers(settled ?? before, view);
  if (view.weights.version === view.weights.stored_version) settled = view;
  if (!isFirst && view.rule?.paused && !before.rule?.paused)
    speak(`The rule is paused: ${view.rule.paused}`);
  dropGhosts(Date.now());
}

/** The first view of these weights: bring back what this tab remembers, and open the mix of a link. */
function start() {
  state.ghosts.clear();
  state.order = [];
  state.others = null;
  recallStrips();
  openHash();
}

function openHash() {
  const { weights, problem } = readMix(location.hash);
  if (weights) openLink(weights);
  else if (problem) say(problem);
}

/** Others changed the weights, so no solo is in force. If it was a person: leave marks, and say who, what and why. */
async function noteOthers(before, view) {
  if (await isMine(view.weights)) return;
  if (state.solo && !(state.draft && state.isHolding)) ((state.solo = null), rememberStrips(), changed());
  if (isByRule(view)) return; // what a rule does stands in its own line
  leaveGhosts(before, Date.now());
  const text = movedText(weightsOf(before), weightsOf(view));
  const by = view.weights.set_by;
  const isKnown = by && by.at_ms > before.at_ms - 60_000;
  state.others = {
    who: isKnown ? by.who : "Somebody",
    reason: isKnown ? by.reason : "",
    atMs: isKnown ? by.at_ms : view.at_ms,
    text,
  };
  speak(`${state.others.who} changed the weights: ${text}`);
  changed();
}

function weightsOf(view) {
  return Object.fromEntries(view.categories.map((row) => [row.name, row.weight]));
}

function address() {
  const query = new URLSearchParams();
  if (state.dataset) query.set("dataset", state.dataset);
  if (state.wished.length) query.set("with", state.wished.join(","));
  return `api/events?${query}`;
}

function drawDatasets() {
  const names = ["", ...state.view.datasets];
  if (state.dataset && !names.includes(state.dataset)) names.push(state.dataset);
  keep(
    byId("dataset"),
    names,
    (name) => name,
    (name) => h("option", { value: name, text: name || "global weights" }),
  );
  if (document.activeElement !== byId("dataset")) byId("dataset").value = state.dataset ?? "";
}

function bindDataset(reopen) {
  byId("dataset").addEventListener("change", (event) => {
    state.dataset = event.target.value || null;
    Object.assign(state, { draft: null, preview: null, wished: [], series: { step_s: 5, points: [] }, phases: [] });
    history.replaceState(null, "", state.dataset ? `?dataset=${encodeURIComponent(state.dataset)}` : location.pathname);
    reopen();
  });
}

async function copyLink() {
  const { [UNSHOWN]: rest, ...weights } = current();
  if (rest > 0) return say("Not all weighted categories are shown, so a link cannot hold the mix.");
  const link = location.origin + location.pathname + location.search + writeMix(weights);
  try {
    await navigator.clipboard.writeText(link);
    say("Copied a link that opens this mix, not applied.");
  } catch {
    history.replaceState(null, "", link); // no clipboard without https: the address bar holds the link instead
    say("The address of this page now holds the mix; copy it from there.");
  }
}

/** Ask what this desk is: whether it may change anything, and who changes weights where nobody gives a name. */
async function learnDesk() {
  try {
    const { read_only: isReadOnly, user } = await get("desk");
    state.isReadOnly = isReadOnly;
    byId("who").placeholder = user;
  } catch (error) {
    say(error.message);
  }
  changed();
}

function begin() {
  state.dataset = new URLSearchParams(location.search).get("dataset") || null;
  const feed = follow(address, receive, (isHeard, refusal) => {
    Object.assign(state, { isHeard, refusal });
    if (isHeard) void learnDesk();
    changed();
  });
  bindPrefs(byId("theme"), byId("who"));
  bindDataset(() => feed.reopen());
  bindFind(() => feed.reopen());
  bindConflict(askWhose);
  byId("copy-link").addEventListener("click", () => void copyLink());
  addEventListener("hashchange", openHash);
  const parts = [
    drawDatasets,
    drawApplied,
    drawReadouts,
    drawNotices,
    drawRule,
    makeBank(),
    makeMoves(),
    makeGraphs(),
    makeHistory(),
    makePresets(),
    drawWorkers,
    drawSessions,
    drawEvents,
    makeCompare(),
  ];
  onChange(() => {
    drawLink(feed.heardAt());
    if (state.view?.at_ms) for (const draw of parts) draw();
    else if (state.view) drawNotices();
  });
  setInterval(changed, 1_000);
  addEventListener("resize", changed);
}

begin();
