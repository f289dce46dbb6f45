// Dragging by mouse, pen or finger: a class onto a class merges them, images onto a class relabel them.
// @ts-check
import { counted, h } from "./dom.js";

const START = 6; // pixels before a press becomes a drag
const EDGE = 60; // from the board's sides, where it scrolls by itself

/**
 * @typedef {{kind: "class", code: number, name: string} | {kind: "images", ids: number[]}} Carried
 * @param {HTMLElement} board
 * @param {{carried: (start: Element, pointer: string) => Carried | null, say: (carried: Carried, code: number) => string | null, drop: (carried: Carried, code: number) => void}} acts
 */
export function dragging(board, { carried, say, drop }) {
  board.addEventListener("pointerdown", event => {
    const start = event.target;
    if (event.button || !(start instanceof Element)) return;
    const load = carried(start, event.pointerType);
    if (!load) return;
    const from = [event.clientX, event.clientY];
    /** @type {HTMLElement | null} */
    let ghost = null;
    /** @type {HTMLElement | null} */
    let target = null;
    let scroll = 0;
    let by = 0; // pixels a tick that the board scrolls

    const begin = () => {
      const made = ghost = h("div.ghost", {}, load.kind === "class" ? load.name : counted(load.ids.length, "image"));
      document.body.append(made);
      if (load.kind === "class") start.closest(".column")?.classList.add("lifted");
      scroll = setInterval(() => { if (by) board.scrollLeft += by; }, 16);
    };
    /** @param {PointerEvent} move */
    const moved = move => {
      if (move.pointerId !== event.pointerId) return; // another finger
      if (!ghost) {
        if (Math.hypot(move.clientX - from[0], move.clientY - from[1]) < START) return;
        begin();
      }
      if (ghost) ghost.style.transform = `translate(${move.clientX + 12}px, ${move.clientY + 12}px)`;
      const side = board.getBoundingClientRect();
      by = move.clientX < side.left + EDGE ? -9 : move.clientX > side.right - EDGE ? 9 : 0;
      const over = document.elementFromPoint(move.clientX, move.clientY)?.closest(".column[data-code]");
      const words = over instanceof HTMLElement ? say(load, Number(over.dataset.code)) : null;
      target?.classList.remove("target");
      target = over instanceof HTMLElement && words ? over : null;
      if (target && words) {
        target.classList.add("target");
        target.dataset.say = words;
      }
    };
    /** @param {boolean} done */
    const end = done => {
      removeEventListener("pointermove", moved);
      removeEventListener("pointerup", up);
      removeEventListener("pointercancel", lost);
      removeEventListener("keydown", key, true);
      clearInterval(scroll);
      target?.classList.remove("target");
      start.closest(".column")?.classList.remove("lifted");
      if (!ghost) return;
      ghost.remove();
      // the click that follows a drag is not meant as one
      addEventListener("click", stop, { capture: true, once: true });
      setTimeout(() => removeEventListener("click", stop, true), 50);
      if (done && target) drop(load, Number(target.dataset.code));
    };
    const stop = (/** @type {Event} */ click) => { click.stopPropagation(); click.preventDefault(); };
    const up = (/** @type {PointerEvent} */ lifted) => { if (lifted.pointerId === event.pointerId) end(true); };
    const lost = (/** @type {PointerEvent} */ lifted) => { if (lifted.pointerId === event.pointerId) end(false); };
    const key = (/** @type {KeyboardEvent} */ pressed) => {
      if (pressed.key !== "Escape") return;
      pressed.stopPropagation();
      end(false);
    };
    addEventListener("pointermove", moved);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", lost);
    addEventListener("keydown", key, true);
  });
}
