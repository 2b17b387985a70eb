// Search: a category that is not among the strips is found by name, and joins them.

import { get } from "./api.js";
import { byId, h } from "./dom.js";
import { count, share } from "./format.js";
import { changed, say, state } from "./state.js";

const REST_MS = 200;

/** Let people find a category; `reopen` asks for the view anew, with the ones that were wished for. */
export function bindFind(reopen) {
  const [field, list] = [byId("find-text"), byId("found")];
  let timer = null;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => void offer(field.value.trim(), list), REST_MS);
  });
  byId("find").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = await best(field.value.trim());
    if (name === null) return;
    field.value = "";
    show(name, reopen);
  });
}

async function offer(text, list) {
  const found = text ? await search(text) : [];
  list.replaceChildren(
    ...found.map((one) => h("option", { value: one.name, label: `${share(one.share)}, ${count(one.ready)} READY` })),
  );
}

async function search(text) {
  try {
    return (await get("categories", { q: text, dataset: state.dataset })).categories;
  } catch (error) {
    say(error.message);
    return [];
  }
}

async function best(text) {
  if (!text) return null;
  if (state.view.categories.some((row) => row.name === text)) return text;
  const found = await search(text);
  const exact = found.find((one) => one.name === text) ?? found[0];
  if (!exact) say(`No category holds "${text}".`);
  return exact?.name ?? null;
}

function show(name, reopen) {
  state.selected = name;
  changed();
  if (!state.view.categories.some((row) => row.name === name)) {
    state.wished = [...state.wished.filter((one) => one !== name), name].slice(-16);
    reopen();
  }
  bringIntoSight(name, 40);
}

/** Scroll to a strip, which may come with the next view, and focus its fader, unless somebody is there by then. */
function bringIntoSight(name, frames) {
  const strip = document.querySelector(`.strip[data-name="${CSS.escape(name)}"]`);
  if (!strip) {
    if (frames > 0) setTimeout(() => bringIntoSight(name, frames - 1), 100);
    return;
  }
  strip.scrollIntoView({ inline: "center", block: "nearest" });
  if (!strip.contains(document.activeElement)) strip.querySelector(".fader").focus();
}
