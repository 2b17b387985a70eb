// The panel of sessions: what each training is pinned to, and what it has read.

import { get } from "./api.js";
import { byId, h, keep, setAttribute, setText } from "./dom.js";
import { count, digits, duration, share, short, tenths, weight } from "./format.js";
import { state } from "./state.js";

const MOST_ROWS = 16;
const NEAR = 0.8; // of a limit: where workers log mix.repeats

/** Draw the sessions. */
export function drawSessions() {
  const list = byId("sessions");
  keep(list, state.view.sessions, (session) => session.name, makeRow);
  list.classList.toggle("empty", !state.view.sessions.length);
  const out = state.view.sessions_left_out;
  setText(byId("sessions-more"), out ? `${count(out)} more: sampling-worker session list.` : "");
}

function makeRow({ name }) {
  const [pinned, figures, limit, problem, more] = [
    h("span", { class: "tag" }),
    h("p"),
    h("p", { class: "limit" }),
    h("p", { class: "reason" }),
    h("div", { class: "more" }),
  ];
  const open = h("button", {
    type: "button",
    text: "Heard",
    "aria-expanded": "false",
    "aria-label": `What ${name} has heard`,
  });
  open.addEventListener("click", () => void toggle(name, open, more));
  const root = h(
    "div",
    { class: "row" },
    h("p", { class: "head" }, h("b", { text: name }), pinned, open),
    figures,
    limit,
    problem,
    more,
  );
  const update = (session) => {
    const version = session.version ? `pinned to ${session.version}` : "";
    setText(pinned, session.has_schedule ? "follows a schedule" : version);
    pinned.hidden = !session.version && !session.has_schedule;
    const idle = session.ends_in_s ? `, forgotten in ${duration(session.ends_in_s * 1000)} unless it asks` : "";
    setText(figures, `${count(session.requests)} requests, ${count(session.chunks)} chunks${idle}`);
    setText(limit, limitText(session));
    limit.classList.toggle("near", isNear(session));
    setText(problem, session.problem ?? "");
  };
  return { root, update };
}

/** Say how near a session is to its limit of repeats; empty where it has none. */
function limitText({ repeats_limit: limit, most_repeated: most }) {
  if (limit === null) return "";
  const nearest = most ? ` The most has ${most.category}: ${tenths(most.repeats)}.` : "";
  return `Limit: ${limit < 1 ? weight(limit) : short(limit)} repeats of a category.${nearest}`;
}

function isNear({ repeats_limit: limit, most_repeated: most }) {
  return limit !== null && most !== null && most.repeats >= NEAR * limit;
}

async function toggle(name, open, more) {
  const isOpen = open.getAttribute("aria-expanded") === "true";
  setAttribute(open, "aria-expanded", String(!isOpen));
  more.replaceChildren();
  if (isOpen) return;
  try {
    more.replaceChildren(...detail(await get("session", { name })));
  } catch (error) {
    more.replaceChildren(h("p", { class: "reason", text: error.message }));
  }
}

/** Show what a session is pinned to, and what it has heard of each category: chunks, share, repeats, and its pass. */
function detail({ session, pinned, schedule, position, chunks, passes, repeats }) {
  const sum = Object.values(chunks).reduce((all, one) => all + one, 0);
  const names = [...new Set([...Object.keys(chunks), ...Object.keys(passes)])].sort(
    (one, other) => (chunks[other] ?? 0) - (chunks[one] ?? 0),
  );
  const hasPasses = Object.keys(passes).length > 0;
  const heads = ["category", "heard", "share", "repeats", "most", ...(hasPasses ? ["pass"] : [])];
  const rows = names.slice(0, MOST_ROWS).map((name) => {
    const cells = [
      count(chunks[name] ?? 0),
      share(sum ? (chunks[name] ?? 0) / sum : null),
      tenths(repeats[name]?.repeats),
      tenths(repeats[name]?.most_repeats),
      ...(hasPasses ? [count(passes[name])] : []),
    ];
    return h("tr", {}, h("th", { scope: "row", text: name }), ...cells.map((text) => h("td", { text })));
  });
  const head = h("tr", {}, ...heads.map((text) => h("th", { scope: "col", text })));
  return [
    schedule?.unit
      ? h("p", {
          text:
            `Schedule by ${schedule.unit.replace("_", " ")} of ${schedule.points.length} points` +
            `${reached(schedule.unit, position)}.`,
        })
      : null,
    pinned
      ? h("p", {
          text: `Pinned: ${Object.entries(pinned.weights)
            .slice(0, 6)
            .map(([name, part]) => `${name} ${share(part)}`)
            .join(", ")}`,
        })
      : null,
    h("table", { class: "sheet" }, h("thead", {}, head), h("tbody", {}, ...rows)),
    names.length > MOST_ROWS
      ? h("p", {
          class: "reason",
          text: `and ${names.length - MOST_ROWS} more: sampling-worker session show ${session}`,
        })
      : null,
  ].filter(Boolean);
}

/** Say how far a schedule is, in its unit; times are not counted. */
function reached(unit, position) {
  const amounts = { chunks: 1, requests: 1, hours: 3_600_000, audio_seconds: 1000 };
  const at = position / amounts[unit];
  return unit in amounts ? `, now at ${Number.isInteger(at) ? count(at) : digits(at)}` : "";
}
