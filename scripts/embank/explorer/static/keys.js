// Which number key gives which class: a class keeps its key while others come, go, merge and change places.
// @ts-check

const KEYS = [1, 2, 3, 4, 5, 6, 7, 8, 9];
const KEPT = "embank-keys"; // for when the page is loaded again
const MOST = 200; // states remembered, as many as can be undone

/** Of the classes that are there. @type {Map<string, number>} */
let dealt = new Map(JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"));
/** Those of earlier states by their classes: undoing gives each its own again. @type {Map<string, Map<string, number>>} */
const earlier = new Map();

/** The key of a class, if it has one: there are nine. @param {string} name */
export const keyOf = name => dealt.get(name);

/** The class of a key. @param {string} key */
export const classOf = key => [...dealt].find(([, each]) => String(each) === key)?.[0];

/** Names as their keys go, those without one last. @param {string[]} names */
export const byKey = names => [...names].sort((a, b) => (keyOf(a) ?? 99) - (keyOf(b) ?? 99));

/** Gives the classes that are new the keys that are free. @param {string[]} names of all classes, in order */
export function dealKeys(names) {
  const state = JSON.stringify(names);
  const keys = earlier.get(state) ?? new Map([...dealt].filter(([name]) => names.includes(name)));
  const free = KEYS.filter(key => ![...keys.values()].includes(key));
  for (const name of names) if (!keys.has(name) && free.length) keys.set(name, /** @type {number} */ (free.shift()));
  dealt = keys;
  earlier.delete(state);
  earlier.set(state, new Map(keys));
  if (earlier.size > MOST) earlier.delete([...earlier.keys()][0]);
  sessionStorage.setItem(KEPT, JSON.stringify([...keys]));
}

/** What a class was made of leaves it the lowest key. @param {string} name @param {string[]} parts */
export function inherit(name, parts) {
  const keys = parts.flatMap(part => keyOf(part) ?? []);
  for (const part of parts) dealt.delete(part);
  if (keys.length) dealt.set(name, Math.min(...keys));
}
