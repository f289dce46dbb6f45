// A question to the reader: a form in the browser's own modal dialog, which keeps the focus and closes by Escape.
// @ts-check
import { h } from "./dom.js";
import { tell } from "./toast.js";

/**
 * Asks. `answer` gets the form's values; while it runs the buttons rest, and what it throws is shown in the dialog,
 * which then stays. It may return an element, to show in place of the form ("Saved to …").
 * @param {{title: string, body: import("./dom.js").Child[], go: string, answer: (values: Record<string, string>) => Promise<any> | any, wide?: boolean}} question
 */
export function ask({ title, body, go, answer, wide = false }) {
  const before = document.activeElement;
  const said = h("p.said", { role: "alert", hidden: true });
  const button = h("button.main", { type: "submit" }, go);
  const cancel = h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel");
  const form = h("form", { method: "dialog", novalidate: true }, h("h2", {}, title), h("div.body", {}, ...body), said, h("div.buttons", {}, cancel, button));
  /** @type {HTMLDialogElement} */
  const dialog = h(`dialog${wide ? ".wide" : ""}`, { "aria-label": title, on: {
    close: () => { dialog.remove(); if (before instanceof HTMLElement && before.isConnected) before.focus(); },
    click: (/** @type {MouseEvent} */ event) => { if (event.target === dialog) dialog.close(); },
  } }, form);
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    const focused = document.activeElement;
    button.disabled = true;
    said.hidden = true;
    said.textContent = "";
    try {
      const values = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form).entries()));
      const shown = await answer(values);
      if (!(shown instanceof Node)) return dialog.close();
      form.replaceChildren(h("h2", {}, title), shown, h("div.buttons", {}, h("button.main", { type: "button", autofocus: true, on: { click: () => dialog.close() } }, "Close")));
      form.querySelector("button.main")?.focus();
    } catch (error) {
      tell(said, error);
    }
    button.disabled = false;
    if (focused instanceof HTMLElement && form.contains(focused)) focused.focus(); // a button that rests loses it
    return undefined;
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Shows something larger. @param {string} title @param {import("./dom.js").Child[]} body */
export function showLarge(title, ...body) {
  const before = document.activeElement;
  /** @type {HTMLDialogElement} */
  const dialog = h("dialog.wide", { "aria-label": title, on: {
    close: () => { dialog.remove(); if (before instanceof HTMLElement && before.isConnected) before.focus(); },
    click: (/** @type {MouseEvent} */ event) => { if (event.target === dialog) dialog.close(); },
  } }, h("div.head", {}, h("h2", {}, title), h("button.plain.icon", { type: "button", "aria-label": "Close", on: { click: () => dialog.close() } }, "×")), h("div.body", {}, ...body));
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
