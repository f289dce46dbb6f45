// Thumbnails, and one image larger. One whose file is gone says so.
// @ts-check
import { large, thumbnail } from "./api.js";
import { showLarge } from "./dialog.js";
import { h, percent } from "./dom.js";

/** @typedef {import("./api.js").Picture} Picture */

/** @param {{id: number, key: string}} picture @returns {HTMLElement} */
export function photo(picture) {
  const box = h("div.photo", { title: picture.key },
    h("img", { src: thumbnail(picture.id), alt: picture.key, loading: "lazy", decoding: "async", draggable: "false", on: { error: () => box.classList.add("gone") } }));
  return box;
}

/** An image at up to 640 pixels; its thumbnail, which may outlive its file, until that comes. @param {{id: number, key: string}} picture @returns {HTMLElement} */
export function largePhoto(picture) {
  const box = photo(picture), whole = new Image();
  whole.alt = picture.key;
  whole.addEventListener("load", () => { box.classList.remove("gone"); box.replaceChildren(whole); });
  whole.src = large(picture.id);
  return box;
}

/** Shows one image by itself. @param {Picture} picture */
export function showImage(picture) {
  const { key, label, predicted, confidence, note } = picture;
  showLarge(key, h("div.asked", {}, largePhoto(picture)), h("p", {}, h("b", {}, label ?? "no label"),
    predicted && ` · taken for ${predicted}${confidence === null || confidence === undefined ? "" : ` (${percent(confidence)})`}`, note && ` · ${note}`));
}
