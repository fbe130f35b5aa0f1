// Building and updating DOM without a framework. Text only ever enters as text nodes, so no value
// of a record can become markup.

/**
 * Build an element.
 * @param {string} tag
 * @param {object} properties attributes; `text`, `data` (dataset) and `on` (listeners) are special;
 *     `false`, `null` and `undefined` leave an attribute out, `true` sets it empty.
 * @param {...(Node|string|Array|null|false|undefined)} children nested at will;
 *     empty ones are left out
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") {
      for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    } else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter(isShown));
  return node;
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false && child !== "";
}

/**
 * Replace what is inside `node`. The focus stays on the control with the same `data-action`; if
 * that is gone, such as “Cancel” once it was pressed, it goes to the one that opens the record.
 */
export function rebuild(node, ...children) {
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  const action = focused?.dataset.action;
  node.replaceChildren(...children.flat(Infinity).filter(isShown));
  if (!action) return;
  const next =
    node.querySelector(`[data-action="${action}"]`) ?? node.querySelector('[data-action="open"]');
  next?.focus({ preventScroll: true });
}

/** Make `nodes`, in this order, the children of `parent`; few are moved, the focus stays. */
function arrange(parent, nodes) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  let cursor = parent.firstChild;
  for (const node of nodes) {
    // One node that sank in the order would otherwise move every node after it.
    if (cursor && cursor !== node && cursor.nextSibling === node) {
      parent.append(cursor);
      cursor = node;
    }
    if (node === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(node, cursor);
  }
  while (cursor) {
    const next = cursor.nextSibling;
    cursor.remove();
    cursor = next;
  }
  if (focused?.isConnected && document.activeElement !== focused)
    focused.focus({ preventScroll: true });
}

/**
 * One list of records as DOM nodes: a node is built once per id and refreshed when its record was
 * replaced.
 */
export class KeyedList {
  /**
   * @param {Element} parent
   * @param {() => Element} create
   * @param {(node: Element, record: object, before: object|undefined) => void} refresh
   */
  constructor(parent, create, refresh) {
    this.parent = parent;
    this.create = create;
    this.refresh = refresh;
    this.rows = new Map();
  }

  /** Show these records, in this order. */
  show(records) {
    const kept = new Map();
    for (const record of records) {
      const row = this.rows.get(record.id) ?? { node: this.create(), record: undefined };
      if (row.record !== record) {
        this.refresh(row.node, record, row.record);
        row.record = record;
      }
      kept.set(record.id, row);
    }
    this.rows = kept;
    arrange(
      this.parent,
      [...kept.values()].map((row) => row.node),
    );
  }
}

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  circle: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Z",
  triangle: "M8 1.6 15 14H1L8 1.6Z",
  square: "M2.5 2.5h11v11h-11z",
  ring: "M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8Zm0 2.1a4.1 4.1 0 1 0 0 8.2 4.1 4.1 0 0 0 0-8.2Z",
  play: "M3.5 1.8 14 8 3.5 14.2V1.8Z",
  check: "m6.4 13.2-5-4.9 2-2 3 2.9 6.2-6.6 2.1 1.9-8.3 8.7Z",
  cross:
    "m3.6 1.8 4.4 4.4 4.4-4.4 1.8 1.8L9.8 8l4.4 4.4-1.8 1.8L8 9.8l-4.4 4.4-1.8-1.8L6.2 8 1.8 3.6l1.8-1.8Z",
  pause: "M3 2h3.6v12H3V2Zm6.4 0H13v12H9.4V2Z",
  barred: "M8 1.4a6.6 6.6 0 1 1 0 13.2A6.6 6.6 0 0 1 8 1.4ZM3.9 6.8v2.4h8.2V6.8H3.9Z",
  layers: "M1.5 1.5h9v2.2H3.7v6.8H1.5v-9Zm4 4h9v9h-9v-9Z",
  away: "M8 1.6a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4Zm0 2a1.2 1.2 0 1 0 0 2.4 1.2 1.2 0 0 0 0-2.4ZM2 14.4c0-3 2.5-5 6-5s6 2 6 5h-2c0-1.800-1.600-3-4-3s-4 1.200-4 3H2Z",
  split: "M2 2h5.2v2.2H5.8L8 6.5l2.2-2.3H8.8V2H14v5.2h-2.2V5.8L9.1 8.6V14H6.9V8.6L4.2 5.8v1.4H2V2Z",
};

/** A small drawn shape; decoration for a word beside it, so it is hidden from screen readers. */
export function shape(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "shape");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
