// Lists of images of which pages are fetched as they come into view.
// @ts-check

/**
 * An image as all lists show it.
 * @typedef {{id: number, key: string, label?: string | null, predicted?: string | null, confidence?: number | null, note?: string | null}} Picture
 * @typedef {{total: number, images: Picture[]}} Page
 */

const SIZE = 100;

export class ImageList {
  /** @param {number} total @param {(offset: number, limit: number) => Promise<Page>} fetchPage @param {() => Promise<number[]>} fetchIds */
  constructor(total, fetchPage, fetchIds) {
    this.total = total;
    this.fetchPage = fetchPage;
    this.fetchIds = fetchIds;
    /** @type {Map<number, Picture[] | null>} */
    this.pages = new Map();
    /** @type {Promise<number[]> | undefined} */
    this.known = undefined;
    this.onPage = () => {};
  }

  /** A list that is whole from the start. @param {Picture[]} images */
  static of(images) {
    const list = new ImageList(images.length, async () => ({ total: images.length, images }), async () => images.map(each => each.id));
    for (let i = 0; i < images.length; i += SIZE) list.pages.set(i / SIZE, images.slice(i, i + SIZE));
    return list;
  }

  /** @param {number} i @returns {Picture | undefined} */
  at(i) { return this.pages.get(Math.floor(i / SIZE))?.[i % SIZE]; }

  /** Fetches what is missing of a stretch; `onPage` is called as it comes. @param {number} from @param {number} to */
  need(from, to) {
    for (let page = Math.floor(from / SIZE); page * SIZE < to; page++) {
      if (this.pages.has(page)) continue;
      this.pages.set(page, null);
      this.fetchPage(page * SIZE, SIZE).then(
        answer => { this.pages.set(page, answer.images); this.onPage(); },
        () => this.pages.delete(page), // asked for again when it is next in view
      );
    }
  }

  /** All ids in order. @returns {Promise<number[]>} */
  ids() { return this.known ??= this.fetchIds(); }
}
