// Short messages at the page's foot: what was done, and what went wrong in the server's own words.
// @ts-check
import { h, one } from "./dom.js";

const STAY = 6000; // milliseconds; errors stay until they are closed

/** @param {string} text @param {{wrong?: boolean, action?: {name: string, act: () => void}}} [how] */
export function toast(text, { wrong = false, action } = {}) {
  const place = one("#toasts");
  forgetDone();
  for (const same of place.querySelectorAll(`.toast[data-text="${CSS.escape(text)}"]`)) same.remove();
  const gone = () => box.remove();
  const box = h(`div.toast${wrong ? ".wrong" : ""}`, { role: wrong ? "alert" : "status", "data-text": text },
    h("span", {}, text),
    action && h("button.link", { type: "button", on: { click: () => { gone(); action.act(); } } }, action.name),
    h("button.plain.icon", { type: "button", "aria-label": "Close this message", on: { click: gone } }, "×"));
  place.append(box);
  if (!wrong) setTimeout(gone, STAY);
}

/** Takes away what was said of an edit, and its way back, before the next. */
export function forgetDone() {
  for (const done of one("#toasts").querySelectorAll(".toast:not(.wrong)")) done.remove();
}

/** @param {unknown} error */
const sentence = error => error instanceof Error ? error.message : String(error);

/** Tells what went wrong where it was asked for; in a message if that is closed by now. @param {HTMLElement} place a `p.said` @param {unknown} error */
export function tell(place, error) {
  if (!place.isConnected) return toast(sentence(error), { wrong: true });
  place.hidden = false; // before its text comes, so that a screen reader hears that come
  place.textContent = sentence(error);
}

/** Runs something for a click or a key; what it throws is shown, not lost. @template T @param {() => Promise<T>} act @returns {Promise<T | undefined>} */
export async function tried(act) {
  try {
    return await act();
  } catch (error) {
    toast(sentence(error), { wrong: true });
    return undefined;
  }
}
