// One fader: a slider that is moved on purpose only.
//
// It is dragged relative to where it was grabbed, so it never jumps. The wheel does nothing. Shift makes ten times
// finer moves. Escape takes back what is held.

import { h, setAttribute } from "./dom.js";
import { share, weight as written } from "./format.js";
import { stepped, toPosition, toWeight } from "./taper.js";

const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
const FINE = 0.1;

/**
 * Make a fader.
 * @param {string} name Its category.
 * @param {object} act What it does: `grab(name)`, `drag(name, weight)`, `release(name)`, `cancel(name)`,
 *   `nudge(name, weight)` for keys, `commit()` after them, `restore(name)`; `top()` and `weight(name)` to read.
 */
export function makeFader(name, act) {
  const ghost = h("span", { class: "ghost", "aria-hidden": "true" });
  const mark = h("span", { class: "stored", "aria-hidden": "true" });
  const cap = h("span", { class: "cap", "aria-hidden": "true" });
  const track = h("span", { class: "track", "aria-hidden": "true" }, ghost, mark, cap);
  const root = h(
    "div",
    {
      class: "fader",
      role: "slider",
      tabindex: "0",
      "aria-orientation": "vertical",
      "aria-label": `Weight of ${name}`,
      "aria-valuemin": "0",
      "data-name": name,
    },
    track,
  );
  bindPointer(root, track, name, act);
  bindKeys(root, name, act);
  return { root, update: (shown) => update({ root, ghost, mark, cap }, shown) };
}

function update(parts, { weight, fraction, top, storedWeight, ghostWeight, isDisabled }) {
  place(parts.cap, toPosition(weight, top));
  show(parts.mark, weight === storedWeight ? null : toPosition(storedWeight, top));
  show(parts.ghost, ghostWeight === null ? null : toPosition(ghostWeight, top));
  parts.root.classList.toggle("pending", weight !== storedWeight);
  setAttribute(parts.root, "aria-valuemax", Math.max(top, weight));
  setAttribute(parts.root, "aria-valuenow", weight);
  const pending = weight === storedWeight ? "" : `, stored ${written(storedWeight)}`;
  setAttribute(parts.root, "aria-valuetext", `${written(weight)}, share ${share(fraction)}${pending}`);
  setAttribute(parts.root, "aria-disabled", isDisabled ? "true" : null);
}

function show(element, position) {
  element.hidden = position === null;
  if (position !== null) place(element, position);
}

function place(element, position) {
  element.style.setProperty("--at", position.toFixed(4));
}

function bindPointer(root, track, name, act) {
  let held = null;
  root.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || root.ariaDisabled === "true") return;
    root.setPointerCapture(event.pointerId);
    held = { y: event.clientY, position: toPosition(act.weight(name), act.top()), hasMoved: false };
    act.grab(name);
  });
  root.addEventListener("pointermove", (event) => {
    if (!held || event.clientY === held.y) return;
    held.position += ((held.y - event.clientY) / track.clientHeight) * (event.shiftKey ? FINE : 1);
    held.y = event.clientY;
    held.hasMoved = true;
    act.drag(name, toWeight(held.position, act.top(), event.shiftKey));
  });
  const end = (finish) => () => {
    if (!held) return;
    const { hasMoved } = held;
    held = null;
    finish(name, hasMoved);
  };
  root.addEventListener("pointerup", end(act.release));
  root.addEventListener("pointercancel", end(act.cancel));
  root.addEventListener("lostpointercapture", end(act.cancel));
  root.addEventListener("keydown", (event) => event.key === "Escape" && end(act.cancel)());
  root.addEventListener("dblclick", () => act.restore(name));
}

function bindKeys(root, name, act) {
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const to = target(event, act.weight(name), act.top());
    if (event.key === "Escape") act.cancel(name);
    else if (event.key === "Enter") act.commit();
    else if (/^[0-9.]$/.test(event.key)) act.type(name, event.key);
    else if (to === null) return;
    else if (root.ariaDisabled !== "true") act.nudge(name, to);
    event.preventDefault();
  });
  root.addEventListener("blur", () => act.commit());
}

/** Return where a key moves the fader; null where it does not. */
function target(event, weight, top) {
  if (event.key === "Home") return 0;
  if (event.key === "End") return Math.max(top, weight);
  const step = STEPS[event.key];
  return step === undefined ? null : stepped(weight, step * (event.shiftKey ? FINE : 1), top);
}
