// Lines above the faders: who set the weights, temporary weights, what is lost or cannot be read.

import { send } from "./changes.js";
import { byId, h, keep, setText } from "./dom.js";
import { ago, clock, countdown } from "./format.js";
import { state } from "./state.js";

const OTHERS_MS = 120_000;

/** Draw the lines. */
export function drawNotices() {
  if (state.dragged !== null) return; // nothing moves under the hand
  const now = Date.now();
  keep(
    byId("notices"),
    [...lines(state.view, now)],
    (one) => one.key,
    (first) => {
      const text = h("span");
      const button = first.action
        ? h("button", { type: "button", text: first.words, on: { click: first.action } })
        : null;
      const root = h("p", { class: `notice ${first.kind ?? ""}` }, text, button);
      return { root, update: (one) => setText(text, one.text) };
    },
  );
}

function* lines(view, now) {
  if (!state.isHeard)
    yield {
      key: "silent",
      kind: "alarm",
      text: silenceText(),
    };
  if (!view.redis.ok) yield { key: "redis", kind: "alarm", text: redisText(view) };
  if (!view.at_ms) return;
  if (state.isReadOnly) yield { key: "read-only", text: "This desk is read-only: look, and copy links." };
  if (view.weights.problem)
    yield { key: "refused", kind: "alarm", text: `Workers refuse what is stored: ${view.weights.problem}` };
  if (view.weights.until_ms) yield temporary(view.weights, now);
  if (state.others && now - state.others.atMs < OTHERS_MS) yield othersLine(state.others, now);
  else yield { key: "last", text: lastText(view.weights, now) };
  if (view.empty.length)
    yield {
      key: "empty",
      kind: "alarm",
      text: `Weighted, but without READY chunks: ${names(view.empty)}. Their share goes to the others.`,
    };
  if (view.unweighted.length)
    yield { key: "unweighted", text: `READY, but without a weight: ${names(view.unweighted)}.` };
  if (state.solo) yield { key: "solo", text: `Solo: ${state.solo.name} alone. Press S again for the mix before.` };
  for (const problem of view.problems) yield { key: problem, kind: "alarm", text: problem };
}

function silenceText() {
  const why = state.refusal ? `The desk shows nothing: ${state.refusal}.` : "The desk is not heard.";
  return `${why} What stands here is old; it comes back by itself.`;
}

function redisText({ redis, at_ms: atMs }) {
  const since = redis.since_ms ? ` since ${clock(redis.since_ms)}` : "";
  return `Redis does not answer${since}: ${redis.problem}.${atMs ? " The last known values stay." : ""}`;
}

function temporary({ until_ms: until, then, stored_version: version }, now) {
  const next = then?.shares
    ? `then ${Object.entries(then.shares)
        .slice(0, 4)
        .map(([name, part]) => `${name} ${(part * 100).toFixed(1)} %`)
        .join(", ")}`
    : "then the default weights";
  // What is stored may be a moment ahead of what is drawn under, and this is what the line is about.
  const end = () =>
    send("rollback", {
      dataset: state.dataset,
      version: null,
      reason: "end of temporary weights",
      if_version: version,
    });
  return {
    key: `until-${until}`,
    text: `Temporary weights: ${countdown(until - now)} left, until ${clock(until)}; ${next}.`,
    words: "End now",
    action: state.isReadOnly ? null : end,
  };
}

function othersLine({ who, reason, atMs, text }, now) {
  const why = reason ? ` (${reason})` : "";
  return {
    key: `others-${atMs}`,
    kind: "others",
    text: `${who}, ${ago(atMs, now)}: ${text}${why}. Hollow marks show where the faders stood.`,
  };
}

/** Say who has set the weights in force; this line is always there, so that others seldom move the faders. */
function lastText({ set_by: by, source }, now) {
  if (!by)
    return source === "redis"
      ? "Who set these weights is not in the history."
      : `Nobody has set these weights: they come from ${source}.`;
  return `Set by ${by.who || "somebody"}, ${ago(by.at_ms, now)}${by.reason ? ` (${by.reason})` : ""}.`;
}

function names(list) {
  return list.slice(0, 6).join(", ") + (list.length > 6 ? ` and ${list.length - 6} more` : "");
}
