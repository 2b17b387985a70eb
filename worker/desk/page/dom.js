// Elements without a framework: make them, fill them, find them. Text is always set as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element of an id; the page holds it from the start. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Make an HTML element.
 * @param {string} name Its tag.
 * @param {object} given Attributes; `on` holds listeners by event, `text` its text; null and false leave one out.
 * @param {...(Node|string|null)} children What it holds.
 */
export function h(name, given = {}, ...children) {
  return fill(document.createElement(name), given, children);
}

/** Make an SVG element; see `h`. */
export function svg(name, given = {}, ...children) {
  return fill(document.createElementNS(SVG, name), given, children);
}

function fill(element, given, children) {
  for (const [key, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (key === "text") element.textContent = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set a text only where it differs: selections and screen readers are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute only where it differs; null removes it. */
export function setAttribute(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/**
 * Keep one child for each item, in the order of the items, and make or drop only what changed.
 * @param {Element} parent Whose children they are.
 * @param {Array} items What to show.
 * @param {function} keyOf Names an item.
 * @param {function} make Makes the child of an item: a node, or an object with `root` and `update(item)`.
 */
export function keep(parent, items, keyOf, make) {
  const known = (parent.kept ??= new Map());
  const wanted = new Set(items.map(keyOf));
  for (const [key, child] of known) if (!wanted.has(key)) (child.root.remove(), known.delete(key));
  let before = null;
  for (const item of items) {
    const key = keyOf(item);
    if (!known.has(key)) known.set(key, wrap(make(item)));
    const child = known.get(key);
    child.update?.(item);
    const place = before ? before.nextSibling : parent.firstChild;
    if (child.root !== place) parent.insertBefore(child.root, place);
    before = child.root;
  }
  return known;
}

function wrap(made) {
  return made instanceof Node ? { root: made } : made;
}
