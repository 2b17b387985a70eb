// What the browser remembers: name and theme for good; locks, mutes and solo for this tab and these weights.

/** Read what was remembered; null where nothing was, or where the browser remembers nothing. */
export function recall(store, key) {
  try {
    return JSON.parse(store.getItem(`desk.${key}`));
  } catch {
    return null; // storage is off, or somebody else wrote there: the page works without
  }
}

/** Remember a value; null forgets it. */
export function remember(store, key, value) {
  try {
    if (value === null) store.removeItem(`desk.${key}`);
    else store.setItem(`desk.${key}`, JSON.stringify(value));
  } catch {
    return; // storage is off or full: the value lasts as long as the page
  }
}

/** Let people choose the theme, and give their name. */
export function bindPrefs(themeSelect, whoInput) {
  const apply = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  themeSelect.value = recall(localStorage, "theme") ?? "";
  apply(themeSelect.value);
  themeSelect.addEventListener("change", () => {
    apply(themeSelect.value);
    remember(localStorage, "theme", themeSelect.value || null);
  });
  whoInput.value = recall(localStorage, "who") ?? "";
  whoInput.addEventListener("change", () => remember(localStorage, "who", whoInput.value.trim() || null));
}
