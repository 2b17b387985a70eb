// The line under the head of the mix: which rule moves the weights, what it does next and why, and how it is told.
//
// Rules are read here, and set on the command line. So the line names the verb where a person would look for a button.

import { byId, h, keep, setAttribute, setText } from "./dom.js";
import { ago, count, countdown, duration } from "./format.js";
import { state } from "./state.js";

const VERB = "sampling-worker adjust";
const COUNTS = 2; // of the counts at which the next step is due

/** Draw the line. */
export function drawRule() {
  if (state.dragged !== null) return; // nothing moves under the hand
  const { rule, dataset } = state.view;
  const now = Date.now();
  const parts = [
    { key: "now", title: titleText(rule, dataset), tag: tagText(rule), text: nowText(rule, now) },
    { key: "step", text: stepText(rule, now) },
    { key: "legend", text: isInShadow(rule) ? "share that the shadow would have set" : "" },
    { key: "told", ...toldTexts(rule, dataset) },
  ];
  setAttribute(byId("rule"), "class", `rule ${rule?.status.replace(" ", "-") ?? "none"}`);
  keep(byId("rule"), parts, (one) => one.key, makePart);
}

/** Whether a rule in shadow has shares to show beside those in force. */
export function isInShadow(rule) {
  return rule?.mode === "shadow" && state.view.categories.some((row) => row.shadow !== null);
}

/** Whether the rule of a view has set the weights of that view. */
export function isByRule({ rule, weights }) {
  return Boolean(rule?.name) && weights.set_by?.who === `rule ${rule.name}`;
}

function makePart({ key }) {
  const parts = { title: h("b"), tag: h("span", { class: "tag" }), text: h("span"), verb: h("code") };
  const mark = key === "legend" ? h("span", { class: "would", "aria-hidden": "true" }) : null;
  const apart = Object.values(parts).flatMap((part) => [part, " "]);
  const root = h("p", { class: key }, mark, ...apart);
  const update = (one) => {
    root.hidden = !one.text;
    for (const [name, element] of Object.entries(parts)) {
      setText(element, one[name] ?? "");
      element.hidden = !one[name];
    }
    parts.tag.classList.toggle("alarm", ["paused", "refused"].includes(one.tag));
  };
  return { root, update };
}

function titleText(rule, dataset) {
  if (!rule) return "No rule";
  return `Rule${rule.name ? ` ${rule.name}` : ""}${rule.dataset === dataset ? "" : " of the global weights"}`;
}

/** Write its mode, or what a person has to know first. */
function tagText(rule) {
  return ["paused", "refused", "frozen"].includes(rule?.status) ? rule.status : (rule?.mode ?? "");
}

/** Write what it does now, and when it acts next. */
function nowText(rule, now) {
  switch (rule?.status) {
    case undefined:
      return "moves these weights.";
    case "refused":
      return `${rule.problem}.`;
    case "frozen":
      return rule.steps ? `After ${steps(rule)}.` : "It does nothing.";
    case "not begun":
      return "It has not begun: workers begin it within seconds.";
    case "paused":
      return `After ${steps(rule)}: ${rule.paused}.`;
    default:
      return `It ${rule.mode === "shadow" ? "changes nothing" : "moves the weights"}. ${nextText(rule.next, now)}.`;
  }
}

function nextText(next, now) {
  const times = next.at_ms !== null && next.at_ms > now ? [`in ${duration(next.at_ms - now)}`] : [];
  const more = next.counts.length + next.counts_left_out - COUNTS;
  const rest = more > 0 ? [`at one of ${count(more)} further ${more === 1 ? "count" : "counts"}`] : [];
  const all = [...times, ...next.counts.slice(0, COUNTS).map(countText), ...rest];
  return all.length ? `Next step ${all.join(" or ")}` : "Next step once a share would change";
}

/** Write a count at which the next step is due, and how far it is. */
function countText({ unit, category, at, heard }) {
  const amount = (value) => (unit === "ms" ? countdown(value) : count(Math.ceil(value)));
  const soFar = heard === null ? "" : ` (${amount(heard)} so far)`;
  return `at ${amount(at)} ${unit === "ms" ? "of audio" : unit}${category ? ` of ${category}` : ""} heard${soFar}`;
}

/** Write why the last step was made, and what held it back. */
function stepText(rule, now) {
  if (!rule?.stepped_ms || rule.status === "frozen") return "";
  const held = rule.held_by.length ? `held back by ${rule.held_by.join("; ")}` : "";
  const why = [rule.evidence, held].filter(Boolean).join("; ");
  return `Step ${count(rule.steps)}, ${ago(rule.stepped_ms, now)}${why ? `: ${why}` : ""}.`;
}

/** Write what a person can do, and by which verb: the page has no button for it. */
function toldTexts(rule, dataset) {
  const whose = (rule ? rule.dataset : dataset) ?? null;
  const told = (text, does) => ({ text, verb: `${VERB} ${does}${whose === null ? "" : ` --dataset ${whose}`}` });
  if (rule?.status === "refused") return told("It moves nothing until it is set again. To remove it:", "off");
  if (rule?.status === "paused" || rule?.status === "frozen") return told("To go on from these weights:", "resume");
  if (rule?.mode === "on") return told("A change by hand pauses it. To stop it:", "freeze");
  return told("Rules are set on the command line:", "set");
}

function steps({ steps: made }) {
  return `${count(made)} ${made === 1 ? "step" : "steps"}`;
}
