// The server's side: what may be asked of it, and what it answers. Every error is its own sentence.
// @ts-check
import { ImageList } from "./lists.js";

/**
 * @typedef {import("./lists.js").Picture} Picture
 * @typedef {{code: number, name: string, count: number, recall: number | null}} ClassState
 * @typedef {{n: number, accuracy: number, low: number, high: number, balanced_accuracy: number, macro_f1: number, majority: number, majority_class: string,
 *   confusion: import("./matrix.js").Confusion}} FiguresState
 * @typedef {{revision: number, store: string, space: string, scheme: string, saveAs: string, images: number, classes: ClassState[], dropped: {name: string, count: number}[],
 *   undo: string | null, redo: string | null, figures: FiguresState | null, why: string | null, previous: {accuracy: number, difference: number, low: number, high: number} | null,
 *   milliseconds: number | null, settling: boolean, columns: string[], flips: number | null, starts: {id: string, title: string, more?: string}[]}} State
 * @typedef {{nuisance: number | null, warnings: string[], labels_needed: string, goal: number | null, curve: import("./curve.js").Step[]}} Slow
 * @typedef {{clusters: number} | {column: string} | {where: string}} Split
 * @typedef {{kind: "mistakes" | "errors" | "duplicates" | "flips" | "all"} | {kind: "class", code: number} | {kind: "cell", truth: number, guess: number}
 *   | {kind: "where", where: string} | {kind: "similar", id: number} | {kind: "file", file: File}} Query
 */

/** What was asked was of a state that another window has changed meanwhile; nothing was done. */
export class OutdatedError extends Error {}

let seen = -1;

/** The revision of the state that was last answered. */
export const revision = () => seen;

/** @param {string} path @param {RequestInit} [how] @returns {Promise<any>} */
async function asked(path, how = {}) {
  let reply;
  try {
    reply = await fetch(path, { credentials: "same-origin", ...how });
  } catch {
    throw new Error("The server does not answer. Is embank explore still running? If you stopped it, start it again and open the address that it prints.");
  }
  const answer = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new (reply.status === 409 ? OutdatedError : Error)(answer.error ?? `The server answered ${reply.status} to ${path}.`);
  return answer;
}

/** @param {string} path @param {Record<string, string | number>} [query] */
const get = (path, query = {}) => asked(`api/${path}?${new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))}`);

/** @param {string} path @param {unknown} [body] */
const post = (path, body = {}) => asked(`api/${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ revision: seen, ...(/** @type {object} */ (body)) }) });

/** @param {Promise<State>} answer */
const kept = async answer => {
  const state = await answer;
  seen = state.revision;
  return state;
};

export const open = () => kept(get("state"));
/** The state as it is now, of any revision. @returns {Promise<State>} */
export const now = () => get("state");
export const undo = () => kept(post("undo"));
export const redo = () => kept(post("redo"));
/** @param {number[]} classes @param {string} name */
export const merge = (classes, name) => kept(post("merge", { classes, name }));
/** @param {number} code @param {string} name */
export const rename = (code, name) => kept(post("rename", { class: code, name }));
/** @param {number} code @param {Split} how */
export const split = (code, how) => kept(post("split", { class: code, ...how }));
/** @param {number} code */
export const drop = code => kept(post("drop", { class: code }));
/** @param {string} name */
export const restore = name => kept(post("restore", { name }));
/** @param {number[]} ids @param {string | null} label */
export const relabel = (ids, label) => kept(post("relabel", { ids, label }));
/** @param {string} from */
export const start = from => kept(post("start", { from }));
/** @param {string} name @returns {Promise<{path: string, command: string}>} */
export const save = name => post("save", { name });

/** @param {number} at @returns {Promise<Slow>} */
export const slow = at => get("slow", { revision: at });
/** @returns {Promise<import("./map-canvas.js").Places & {note: string}>} */
export const places = () => get("map");
/** @param {string} by "label" or "predicted" @returns {Promise<number[]>} */
export const codes = async by => (await get("codes", { by })).codes;
/** @param {number} id @returns {Promise<Picture>} */
export const imageOf = id => get("image", { id });
/** @param {string | null} like @returns {Promise<{images: Picture[], why: string}>} */
export const proposals = like => get("proposals", like === null ? {} : { class: like });
/** @param {number} at @returns {Promise<import("./curve.js").Step[]>} */
export const growth = async at => (await get("growth", { revision: at })).curve;

/** @param {number} id */
export const thumbnail = id => `thumb/${id}`;
/** @param {number} id */
export const large = id => `large/${id}`;
export const none = () => ImageList.of([]);

/** A list of images: its first page is there when it comes. @param {Query} query @returns {Promise<ImageList>} */
export async function imagesOf(query) {
  if (query.kind === "file") {
    const found = await asked("api/similar", { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: query.file });
    return ImageList.of(found.images);
  }
  const ask = /** @type {Record<string, string | number>} */ ({ ...query });
  const first = await get("images", { ...ask, offset: 0, limit: 100 });
  const list = new ImageList(first.total, (offset, limit) => get("images", { ...ask, offset, limit }), async () => (await get("images", { ...ask, ids: 1 })).ids);
  list.pages.set(0, first.images);
  return list;
}
