// How numbers and times are written: short, exact, the same everywhere.

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const NONE = "–";

/** Write a share in per cent: 70.0 %, 0.52 %. */
export function share(value) {
  if (value === null || value === undefined) return NONE;
  const points = value * 100;
  return `${points.toFixed(points !== 0 && Math.abs(points) < 1 ? 2 : 1)} %`;
}

/** Write a number with thousands apart. */
export function count(value) {
  return value === null || value === undefined ? NONE : WHOLE.format(value);
}

/** Write a number in at most five characters: 8.45k, 1.28M. */
export function short(value) {
  if (value === null || value === undefined) return NONE;
  for (const [size, unit] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ]) {
    if (Math.abs(value) >= size) return `${digits(value / (unit === "k" ? 1e3 : size))}${unit}`;
  }
  return value >= 100 || Number.isInteger(value) ? count(value) : digits(value);
}

/** Write a number with three significant digits and no exponent. */
export function digits(value) {
  if (value === null || value === undefined) return NONE;
  if (value === 0) return "0";
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(places, 4));
}

/** Write a number with one decimal, large ones with none: 12.8, 178. */
export function tenths(value) {
  return value === null || value === undefined
    ? NONE
    : value >= 100
      ? short(value)
      : value.toFixed(value === 0 ? 0 : 1);
}

/** Write a probability: 0.43, 2e-9. */
export function chance(p) {
  return p === null || p === undefined ? NONE : p >= 0.001 ? p.toFixed(p < 0.01 ? 3 : 2) : p.toExponential(0);
}

/** Write a weight as a person would type it: at most six significant digits. */
export function weight(value) {
  return String(Number(value.toPrecision(6)));
}

/** Write a weight so short that its field never cuts it: at most eight characters. */
export function brief(value) {
  if (value >= 100 || value === 0) return weight(value);
  return value < 0.001 ? value.toExponential(2) : String(Number(value.toPrecision(value < 0.01 ? 3 : 4)));
}

/** Write a move of a share; of a small one, as many digits as it takes to see it: 11.46 % → 11.52 %. */
export function moveText(before, after) {
  const points = Math.abs(after - before) * 100;
  if (points === 0 || points >= 0.1) return `${share(before)} → ${share(after)}`;
  const places = Math.min(8, Math.ceil(-Math.log10(points)));
  return [before, after].map((part) => `${(part * 100).toFixed(Math.max(2, places))} %`).join(" → ");
}

/** Write milliseconds. */
export function ms(value) {
  return value === null || value === undefined ? NONE : `${tenths(value)} ms`;
}

/** Write a size in memory. */
export function bytes(value) {
  return value === null || value === undefined ? NONE : `${Math.round(value / 1e6)} MB`;
}

/** Write how many standard deviations something is off, with its sign. */
export function sigmas(z) {
  return z === null || z === undefined ? NONE : `${z < 0 ? "−" : "+"}${Math.abs(z).toFixed(1)}`;
}

/** Write a time of day. */
export function clock(atMs) {
  return CLOCK.format(new Date(atMs));
}

/** Write a duration: 48 s, 12 min, 1 h 20 min. */
export function duration(forMs) {
  const seconds = Math.max(0, Math.round(forMs / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const rest = minutes % 60 ? ` ${minutes % 60} min` : "";
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h${rest}` : `${Math.floor(minutes / 1440)} d`;
}

/** Write the time left: 29:58. */
export function countdown(forMs) {
  const seconds = Math.max(0, Math.ceil(forMs / 1000));
  const pair = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:` : ""}${pair(Math.floor(seconds / 60) % 60)}:${pair(seconds % 60)}`;
}

/** Write who has applied some weights: Applied by 3 of 3 workers in 4 ms. */
export function appliedBy({ workers, of, missing, took_ms: took }) {
  const more = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
  const late = missing.length ? `, not yet by ${missing.slice(0, 3).join(", ")}${more}` : "";
  const time = late || took === null ? "" : ` in ${ms(took)}`;
  return `Applied by ${workers} of ${of} ${of === 1 ? "worker" : "workers"}${time}${late}`;
}

/** Write how long ago something was. */
export function ago(atMs, nowMs) {
  return `${duration(nowMs - atMs)} ago`;
}
