// What the page asks of the desk's server, as JSON.

/** What the server answers where it does not do what was asked. */
export class RefusedError extends Error {
  /**
   * @param {number} status The HTTP status; 0: nobody answered.
   * @param {object} body The answer: `error`, `message`, and `in_force` of a change that came too late.
   */
  constructor(status, body) {
    super(body.message || `The desk answered with status ${status}.`);
    this.status = status;
    this.body = body;
  }
}

/** Ask for a document. @throws {RefusedError} */
export function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const words = new URLSearchParams(given).toString();
  return call(`api/${path}${words ? `?${words}` : ""}`, { method: "GET" });
}

/** Ask for something to be done. @throws {RefusedError} */
export function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return call(`api/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, { ...options, credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new RefusedError(0, { message: "The desk does not answer. Nothing was changed as far as is known here." });
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new RefusedError(answer.status, body);
  return body;
}
