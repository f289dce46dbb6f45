// Merging by keyboard: a class is picked up, arrows choose the class beneath it, Enter lets it down, Escape puts it back.
// @ts-check
import { one } from "./dom.js";

/** @param {string} text what a screen reader says */
export const say = text => { one("#live").textContent = text; };

/**
 * @param {import("./column.js").Column} lifted @param {import("./column.js").Column[]} columns in order
 * @param {(from: import("./column.js").Column, onto: import("./column.js").Column) => void} merge
 */
export function lift(lifted, columns, merge) {
  const others = columns.filter(column => column !== lifted);
  if (!others.length) return say("There is no other class to merge it with.");
  let at = Math.min(columns.indexOf(lifted), others.length - 1); // its neighbour
  const show = () => {
    for (const column of columns) column.root.classList.remove("target");
    const { root, state } = others[at];
    root.classList.add("target");
    root.dataset.say = `Enter merges ${lifted.state.name} into this`;
    root.scrollIntoView({ block: "nearest", inline: "nearest" });
    say(`${lifted.state.name} over ${state.name}. Enter merges, arrows choose another class, Escape puts it back.`);
  };
  const end = () => {
    removeEventListener("keydown", key, true);
    removeEventListener("pointerdown", away, true);
    lifted.root.classList.remove("lifted");
    for (const column of columns) column.root.classList.remove("target");
  };
  const away = () => end();
  /** @param {KeyboardEvent} event */
  const key = event => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    event.preventDefault();
    event.stopPropagation();
    if (by) { at = (at + by + others.length) % others.length; show(); }
    else if (event.key === "Home" || event.key === "End") { at = event.key === "Home" ? 0 : others.length - 1; show(); }
    else if (event.key === "Enter" || event.key === " ") { end(); merge(lifted, others[at]); }
    else if (event.key === "Escape" || event.key === "Tab") { end(); say(`${lifted.state.name} is back in its place.`); }
  };
  lifted.root.classList.add("lifted");
  addEventListener("keydown", key, true);
  addEventListener("pointerdown", away, true);
  show();
}
