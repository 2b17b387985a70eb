/**
 * The page that asks for the token.
 *
 * A link from another site brings no cookie along (SameSite=Strict), even where there is one. So this page asks once
 * more, from here. The mix behind the # of a link is kept.
 */

const { hash, search } = window.location;

document.querySelector("form").action = `/login${hash}`;

if (!search.includes("again")) {
  const { ok } = await fetch("/api/desk");
  if (ok) {
    window.location.replace(`/?again${hash}`);
  }
}
