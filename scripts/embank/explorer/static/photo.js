// A thumbnail. One whose file is gone says so.
// @ts-check
import { h } from "./dom.js";
import { thumbnail } from "./api.js";

/** @param {{id: number, key: string}} picture @returns {HTMLElement} */
export function photo(picture) {
  const box = h("div.photo", { title: picture.key },
    h("img", { src: thumbnail(picture.id), alt: picture.key, loading: "lazy", decoding: "async", draggable: "false", on: { error: () => box.classList.add("gone") } }));
  return box;
}
