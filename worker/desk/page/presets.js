// The panel of presets: apply one, look at one on the faders, save the mix that stands there.

import { propose, send } from "./changes.js";
import { byId, h, keep, setText } from "./dom.js";
import { share } from "./format.js";
import { current, state, storedVersion, UNSHOWN, whyNot } from "./state.js";

/** Make the panel; return what draws it. */
export function makePresets() {
  const list = h("ul", { class: "rows" });
  const name = h("input", {
    maxlength: "64",
    pattern: "[A-Za-z0-9_.\\-]+",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    title: "Letters, digits, _ . and -",
  });
  const save = h("button", { type: "submit", text: "Save mix" });
  const form = h("form", { class: "line" }, h("label", { class: "pick" }, "Name ", name), save);
  byId("presets").append(list, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { [UNSHOWN]: _, ...weights } = current();
    const made = await send("presets", { name: name.value, weights: heard(weights), reason: "" });
    if (made) name.value = "";
  });
  return () => {
    save.disabled = whyNot() !== "" || current()[UNSHOWN] > 0;
    save.title =
      current()[UNSHOWN] > 0 ? "Not all weighted categories are shown: save it with `weights preset save`" : "";
    keep(list, state.view.presets, (preset) => preset.name, makeRow);
  };
}

function heard(weights) {
  return Object.fromEntries(Object.entries(weights).filter(([, weight]) => weight > 0));
}

function makeRow({ name }) {
  const shares = h("span", { class: "reason" });
  const look = h("button", {
    type: "button",
    text: "Preview",
    "aria-label": `Put preset ${name} on the faders, not applied`,
  });
  const apply = h("button", { type: "button", text: "Apply", "aria-label": `Apply preset ${name}` });
  const root = h("li", {}, h("p", { class: "head" }, h("b", { text: name }), look, apply), shares);
  let preset = null;
  look.addEventListener("click", () => ((state.isHolding = true), propose(preset.shares, "preset")));
  apply.addEventListener("click", () =>
    send("presets/apply", { name, dataset: state.dataset, reason: "", if_version: storedVersion() }),
  );
  const update = (shown) => {
    preset = shown;
    const isInForce = shown.version === storedVersion();
    setText(shares, `${isInForce ? "in force: " : ""}${sharesText(shown)}`);
    const isWhole = shown.shares && !(shown.categories > Object.keys(shown.shares).length);
    look.disabled = whyNot() !== "" || !isWhole;
    apply.disabled = whyNot() !== "" || isInForce;
  };
  return { root, update };
}

function sharesText({ shares, built_in: isBuiltIn }) {
  if (!shares) return isBuiltIn ? "those with READY chunks alike" : "no valid weights stand there";
  const list = Object.entries(shares).sort((one, other) => other[1] - one[1]);
  const words = list.slice(0, 5).map(([name, part]) => `${name} ${share(part)}`);
  return words.join(", ") + (list.length > 5 ? ` and ${list.length - 5} more` : "");
}
