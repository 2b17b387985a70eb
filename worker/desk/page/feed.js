// The stream of what happens: server-sent events, watched by a clock of our own.
//
// A stream may fail without an error: a proxy that buffers, a laptop that slept. So whatever the browser thinks of the
// connection, it counts as lost when nothing came for 6 seconds, beats included, and a new one is opened.

const SILENCE_MS = 6_000;
const RETRY_MS = 2_000;
const KINDS = ["view", "series", "point", "phases", "beat"];

/**
 * Follow the desk.
 * @param {function} address Returns the address of the stream, by what is shown now.
 * @param {function} receive Takes `(kind, document)`.
 * @param {function} tell Takes whether the desk is heard, and why not where it says so, each time that changes.
 * @returns {{reopen: function, heardAt: function}} Open it again at another address; when something last came.
 */
export function follow(address, receive, tell) {
  let source = null;
  let heardAt = Date.now();
  let openedAt = 0;
  let isHeard = null;

  function note(isNow) {
    if (isNow) heardAt = Date.now();
    if (isNow !== isHeard) tell((isHeard = isNow), "");
  }

  /** A browser does not say why a stream was refused: ask once more, as a program does. */
  async function explain() {
    if (source.readyState !== EventSource.CLOSED) return;
    const asking = new AbortController();
    try {
      const answer = await fetch(address(), { signal: asking.signal, cache: "no-store" });
      if (answer.ok) return;
      const { message } = await answer.json();
      tell((isHeard = false), answer.status === 401 ? "The desk asks for its token: reload this page" : message);
    } catch {
      return; // nobody answers: the silence says so in a few seconds
    } finally {
      asking.abort();
    }
  }

  function open() {
    source?.close();
    source = new EventSource(address());
    openedAt = Date.now();
    source.addEventListener("error", () => void explain());
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        note(true);
        if (kind !== "beat") receive(kind, JSON.parse(event.data));
      });
    }
  }

  function check() {
    const now = Date.now();
    const isSilent = now - heardAt > SILENCE_MS;
    if (isSilent) note(false);
    const isClosed = source.readyState === EventSource.CLOSED;
    if ((isSilent || isClosed) && now - openedAt > RETRY_MS + (isClosed ? 0 : SILENCE_MS)) open();
  }

  open();
  setInterval(check, 1_000);
  addEventListener("online", open);
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && open());
  return { reopen: open, heardAt: () => heardAt };
}
