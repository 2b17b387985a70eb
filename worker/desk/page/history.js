// The panel of changes: who, when, why, before and after; undo, and return to any version by one click.

import { get } from "./api.js";
import { movesText, send } from "./changes.js";
import { byId, h, keep, setText } from "./dom.js";
import { ago, clock } from "./format.js";
import { moves } from "./mix.js";
import { changed, say, state, storedVersion, whyNot } from "./state.js";

const RECENT = 8;

/** Make the panel; return what draws it. */
export function makeHistory() {
  const list = h("ol", { class: "rows", id: "change-list" });
  const undo = h("button", { type: "button", text: "Undo the last change", on: { click: () => goBack(null) } });
  const more = h("button", { type: "button", text: "Earlier changes", on: { click: () => void load() } });
  const none = h("p", { class: "none", text: "No change in the last 15 minutes." });
  byId("changes").append(h("div", { class: "buttons" }, undo, more), none, list);
  let earlier = [];
  let place = null;

  async function load() {
    try {
      const before = rows().findLast((change) => change.entry)?.entry;
      const found = await get("history", { dataset: state.dataset, before });
      earlier.push(...found.changes);
      more.disabled = !found.more;
      changed();
    } catch (error) {
      say(error.message);
    }
  }

  function rows() {
    const recent = [...state.view.marks].reverse();
    const known = new Set(recent.map((change) => change.entry));
    return [
      ...(earlier.length ? recent : recent.slice(0, RECENT)),
      ...earlier.filter((change) => !known.has(change.entry)),
    ];
  }

  return () => {
    if (place !== state.dataset) ((earlier = []), (place = state.dataset), (more.disabled = false));
    const shown = rows();
    none.hidden = shown.length > 0;
    undo.disabled = whyNot() !== "";
    keep(list, shown, (change) => change.entry ?? change.at_ms, makeRow);
  };
}

function makeRow(change) {
  const when = h("time", { title: clock(change.at_ms) });
  const tag = h("span", { class: "tag", text: "in force" });
  const button = h("button", {
    type: "button",
    text: "Return to this",
    "aria-label": `Return to the weights of ${clock(change.at_ms)}, by ${change.who || "somebody"}`,
    on: { click: () => goBack(change.version_after) },
  });
  const root = h(
    "li",
    {},
    h("p", { class: "head" }, h("b", { text: change.who || "somebody" }), when, tag, button),
    h("p", { text: movesText(moves(change.before ?? {}, change.after ?? {}), 4) || "the same shares" }),
    change.reason ? h("p", { class: "reason", text: change.reason }) : null,
  );
  const update = () => {
    setText(when, ago(change.at_ms, Date.now()));
    button.disabled = whyNot() !== "" || !change.version_after;
    tag.hidden = change.entry !== state.view.weights.set_by?.entry;
    button.hidden = change.version_after === storedVersion();
  };
  return { root, update };
}

/** Roll back: undo the last change, or go back to a version. */
async function goBack(version) {
  const reason = version ? `return to ${version}` : "undo";
  await send("rollback", { dataset: state.dataset, version, reason, if_version: storedVersion() });
}
