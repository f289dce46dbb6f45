// A menu of a button: arrows move, Enter or a click chooses, Escape closes and gives the focus back.
// @ts-check
import { h } from "./dom.js";

/**
 * @typedef {{name: string, act: () => void, key?: string, disabled?: boolean}} Item
 */

/** @param {HTMLElement} button @param {Item[]} items @param {string} [label] */
export function openMenu(button, items, label = button.getAttribute("aria-label") ?? "Menu") {
  const close = (back = true) => {
    menu.remove();
    button.setAttribute("aria-expanded", "false");
    removeEventListener("pointerdown", outside, true);
    if (back) button.focus();
  };
  /** @param {Event} event */
  const outside = event => { if (!menu.contains(/** @type {Node} */ (event.target))) close(false); };
  const menu = h("div.menu", { role: "menu", "aria-label": label, on: {
    keydown: (/** @type {KeyboardEvent} */ event) => {
      const all = /** @type {HTMLElement[]} */ ([...menu.querySelectorAll("button:not(:disabled)")]);
      const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
      const ways = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 };
      const to = ways[/** @type {keyof typeof ways} */ (event.key)];
      if (to !== undefined) all[to % all.length]?.focus();
      else if (event.key === "Escape" || event.key === "Tab") close();
      else if (event.key !== "Enter" && event.key !== " ") return void event.stopPropagation();
      else return void event.stopPropagation();
      event.preventDefault();
      event.stopPropagation();
    },
  } }, ...items.map(item => h("button.plain", { type: "button", role: "menuitem", disabled: item.disabled, on: { click: () => { close(); item.act(); } } },
    h("span", {}, item.name), item.key && h("kbd", {}, item.key))));
  document.body.append(menu);
  const place = button.getBoundingClientRect(), size = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(place.left, innerWidth - size.width - 8))}px`;
  menu.style.top = `${place.bottom + size.height + 8 > innerHeight ? Math.max(8, place.top - size.height - 4) : place.bottom + 4}px`;
  button.setAttribute("aria-expanded", "true");
  addEventListener("pointerdown", outside, true);
  menu.querySelector("button:not(:disabled)")?.focus();
}
