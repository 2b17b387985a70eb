// The bar below the faders: whether moves are held, what they come to, why, for how long, apply and discard.

import { apply, bodyOf, discard, movedText, propose } from "./changes.js";
import { post } from "./api.js";
import { byId, h, setAttribute, setText } from "./dom.js";
import { moved } from "./mix.js";
import { changed, state, storedVersion, UNSHOWN, whyNot } from "./state.js";

const TIMES = [
  ["", "for good"],
  ["600", "for 10 min"],
  ["1800", "for 30 min"],
  ["7200", "for 2 h"],
  ["28800", "for 8 h"],
];
const SAMPLE = 32;
const HINT = "Shift: finer. Escape: take back. Double-click: stored weight.";

/** Make the bar; return what draws it. */
export function makeMoves() {
  const hold = h("input", { type: "checkbox", id: "hold", role: "switch" });
  const reason = h("input", {
    id: "reason",
    maxlength: "400",
    placeholder: "why, for the history",
    autocomplete: "off",
  });
  const lasts = h("select", { id: "lasts" }, ...TIMES.map(([value, text]) => h("option", { value, text })));
  const store = h("button", { type: "submit", class: "main", text: "Apply" });
  const drop = h("button", { type: "button", text: "Discard", on: { click: discard } });
  const says = h("p", { class: "says", id: "says" });
  const expects = h("p", { class: "expects" });
  const form = byId("moves");
  form.append(
    h("label", { class: "hold" }, hold, "Hold changes"),
    says,
    h(
      "div",
      { class: "why" },
      h("label", { class: "pick" }, "Reason ", reason),
      h("label", { class: "pick" }, "Lasts ", lasts),
      store,
      drop,
      expects,
    ),
  );
  reason.addEventListener("input", () => (state.reason = reason.value.trim()));
  lasts.addEventListener("change", () => (state.lastsS = lasts.value ? Number(lasts.value) : null));
  hold.addEventListener("change", () => ((state.isHolding = hold.checked), changed()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void apply();
  });
  const parts = { hold, reason, lasts, store, drop, says, expects };
  const preview = previews();
  return () => (draw(parts), preview());
}

function draw({ hold, reason, lasts, store, drop, says, expects }) {
  const { draft } = state;
  const names = draft ? moved(draft.base.weights, draft.weights).filter((name) => name !== UNSHOWN) : [];
  const problem = whyNot();
  hold.checked = state.isHolding;
  hold.disabled = Boolean(problem) || draft?.origin === "link";
  setText(store, names.length ? `Apply ${names.length} ${names.length === 1 ? "change" : "changes"}` : "Apply");
  store.disabled = Boolean(problem) || !names.length || state.isSending || state.dragged !== null;
  drop.disabled = !draft || state.dragged !== null;
  lasts.disabled = Boolean(problem);
  if (reason.value.trim() !== state.reason) reason.value = state.reason;
  if (lasts.value !== String(state.lastsS ?? "")) lasts.value = String(state.lastsS ?? "");
  setText(says, sentence(problem, draft, names));
  setText(expects, draft && state.preview ? expectation(state.preview) : HINT);
  setAttribute(byId("moves"), "class", `moves${names.length ? " pending" : ""}`);
}

function sentence(problem, draft, names) {
  if (problem && state.view) return problem;
  if (state.isSending) return "Storing";
  if (state.said && !names.length) return state.said;
  if (!names.length)
    return state.isHolding ? "Moves collect here until you apply them." : "A fader is applied when you let it go.";
  const list = movedText(draft.base.weights, draft.weights);
  const from =
    { link: "This mix came with the link. It is not applied: ", preset: "Not applied: " }[draft.origin] ?? "";
  const stale =
    storedVersion() === draft.base.version ? "" : " The weights changed meanwhile; Apply shows both.";
  return `${from}${list}.${stale}${state.said ? ` ${state.said}` : ""}`;
}

/** Say what the strips do not show; what they expect stands in them. */
function expectation({ empty, warnings }) {
  const none = empty.length ? `No READY chunks: ${empty.slice(0, 5).join(", ")}. ` : "";
  return none + (warnings ?? []).join(" ") || "Strips show what is expected.";
}

/** Ask what the draft would draw: one question at a time, the newest draft next. */
function previews() {
  let asked = null;
  let isAsking = false;
  return async () => {
    const { draft } = state;
    if (!draft || isAsking || draft.weights === asked || whyNot()) return;
    isAsking = true;
    asked = draft.weights;
    try {
      const found = await post("preview", { dataset: state.dataset, ...bodyOf(draft), size: SAMPLE });
      if (state.draft) state.preview = found;
    } catch (error) {
      state.preview = null;
      state.said = error.message;
    } finally {
      isAsking = false;
      changed();
    }
  };
}

/** Put the mix of a link on the faders, not applied. */
export function openLink(weights) {
  state.isHolding = true;
  propose(weights, "link");
}
