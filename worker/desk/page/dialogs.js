// Questions to the person: about a solo, and about a change that came too late.

import { byId, h } from "./dom.js";
import { ago, share } from "./format.js";
import { onTop, shares } from "./mix.js";
import { discard, movesText, send } from "./changes.js";
import { moved, moves } from "./mix.js";
import { state, UNSHOWN } from "./state.js";

const MOST_ROWS = 12;

/**
 * Ask something; return the value of the button that was pressed, empty where none was.
 * @param {string} title The question.
 * @param {Node[]} body What it is about.
 * @param {Array<[string, string]>} buttons Value and words of each; the first does the least.
 */
function ask(title, body, buttons) {
  const dialog = byId("dialog");
  const made = buttons.map(([value, words], at) =>
    h("button", { value, class: at === buttons.length - 1 ? "main" : "", autofocus: at === 0, text: words }),
  );
  dialog.replaceChildren(
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "dialog-title", text: title }),
      ...body,
      h("div", { class: "buttons" }, ...made),
    ),
  );
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
}

/** Ask before a solo: it changes what trainings hear. */
export async function confirmSolo(name, dataset) {
  const whose = dataset ? `the dataset ${dataset}` : "the global weights";
  const until = "until solo is pressed again. Pinned sessions keep theirs.";
  const text = `Every training under ${whose} hears ${name} alone, ${until}`;
  return (
    (await ask(
      `Solo ${name}?`,
      [h("p", { text })],
      [
        ["", "Cancel"],
        ["solo", `Solo ${name}`],
      ],
    )) === "solo"
  );
}

/**
 * Show somebody else's change beside one's own, and let the person choose.
 * @param {object} theirs What is in force: `version`, `who`, `at_ms`, `reason`, `shares`.
 * @param {object|null} draft One's own moves; null where the change was no mix.
 * @param {object} body What was sent.
 * @param {string} path Where to.
 */
export async function askWhose(theirs, draft, body, path) {
  const why = theirs.reason ? ` (${theirs.reason})` : "";
  const when = theirs.at_ms ? ` ${ago(theirs.at_ms, Date.now())}` : "";
  const by = `${theirs.who || "Somebody"} changed the weights${when}${why}. Yours were not stored.`;
  if (!draft) {
    const answer = await ask(
      "The weights changed meanwhile",
      [h("p", { text: by })],
      [
        ["", "Leave it"],
        ["mine", "Do it on top"],
      ],
    );
    if (answer) await send(path, { ...body, if_version: theirs.version });
    return;
  }
  const names = moved(draft.base.weights, draft.weights).filter((name) => name !== UNSHOWN);
  const both = onTop(theirs.shares, shares(draft.weights), names);
  const buttons = [
    ["theirs", "Take theirs"],
    ["mine", "Apply mine on top"],
  ];
  const note = "On top: what you moved gets the share that you wanted. The rest stays as theirs, in proportion.";
  const answer = await ask(
    "The weights changed meanwhile",
    [h("p", { text: by }), table(draft, theirs.shares, both), h("p", { class: "note", text: note })],
    buttons,
  );
  if (answer === "theirs") discard();
  else if (answer === "mine") await applyOnTop(draft, theirs, both, body);
  else if (!state.isHolding) discard();
}

async function applyOnTop(draft, theirs, both, body) {
  draft.base = { version: theirs.version, weights: theirs.shares };
  draft.weights = both;
  const { keep_others: _, ...rest } = body;
  await send(
    "weights",
    {
      ...rest,
      weights: both,
      if_version: theirs.version,
      reason: body.reason || movesText(moves(theirs.shares, both)),
    },
    draft,
  );
}

function table(draft, theirs, both) {
  const [seen, mine] = [shares(draft.base.weights), shares(draft.weights)];
  const names = [...new Set([...moves(seen, theirs), ...moves(seen, mine)].map((one) => one.name))].filter(
    (name) => name !== UNSHOWN,
  );
  const cells = (name) => [seen, theirs, mine, both].map((of) => h("td", { text: share(of[name] ?? 0) }));
  const rows = names
    .slice(0, MOST_ROWS)
    .map((name) => h("tr", {}, h("th", { scope: "row", text: name }), ...cells(name)));
  const heads = ["category", "you saw", "theirs, in force", "yours", "on top"].map((text) =>
    h("th", { scope: "col", text }),
  );
  return h("table", { class: "sheet" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows));
}
