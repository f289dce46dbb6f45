// The views: one is shown; arrows go from tab to tab.
// @ts-check
import { one } from "./dom.js";

/** @type {HTMLElement[]} */
const tabs = [...document.querySelectorAll("[role=tab]")].map(each => /** @type {HTMLElement} */ (each));
/** @type {Map<string, () => void>} */
const openers = new Map();

/** @param {HTMLElement} tab */
const viewOf = tab => tab.getAttribute("aria-controls") ?? "";

/** The name of the view that is shown: "board", "look", … */
export function shownView() {
  return viewOf(tabs.find(tab => tab.getAttribute("aria-selected") === "true") ?? tabs[0]);
}

/** @param {string} name @param {boolean} [focus] whether the tab takes the focus */
export function showView(name, focus = false) {
  for (const tab of tabs) {
    const on = viewOf(tab) === name;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    if (on && focus) tab.focus();
    if (viewOf(tab) !== "figures") one(`#${viewOf(tab)}`).hidden = !on;
  }
  one("#page").classList.toggle("figures", name === "figures");
  openers.get(name)?.();
}

/** @param {string} name @param {() => void} opened called each time that the view is shown */
export function onView(name, opened) { openers.set(name, opened); }

export function startTabs() {
  one("#tabs").addEventListener("click", (/** @type {MouseEvent} */ event) => {
    const tab = event.target instanceof Element ? event.target.closest("[role=tab]") : null;
    if (tab instanceof HTMLElement) showView(viewOf(tab));
  });
  one("#tabs").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const seen = tabs.filter(tab => tab.offsetParent !== null), at = seen.findIndex(tab => tab === document.activeElement);
    const ways = { ArrowRight: at + 1, ArrowLeft: at - 1 + seen.length, Home: 0, End: seen.length - 1 };
    const to = ways[/** @type {keyof typeof ways} */ (event.key)];
    if (to === undefined) return;
    event.preventDefault();
    showView(viewOf(seen[to % seen.length]), true);
  });
  // the figures have a tab only where they do not stand beside the views
  matchMedia("(max-width: 60rem)").addEventListener("change", () => { if (shownView() === "figures") showView("board"); });
}
