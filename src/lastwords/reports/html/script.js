"use strict";
// All that needs a script: sorting, filtering, folding, copying. Without it the page holds the same.
(() => {
  const make = (name, text, attributes = {}) => {
    const element = document.createElement(name);
    element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const button = (text, press) => {
    const made = make("button", text, { type: "button" });
    made.addEventListener("click", press);
    return made;
  };

  // Tables: a press on a heading sorts, another one turns it round.
  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return "";
    return cell.dataset.v !== undefined ? Number(cell.dataset.v) : cell.textContent.trim();
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  const sort = (table, heading) => {
    const column = heading.cellIndex;
    const numeric = heading.classList.contains("number") || heading.classList.contains("chart");
    const before = heading.getAttribute("aria-sort");
    const down = before ? before === "ascending" : numeric;
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort((a, b) => (down ? compare(b[0], a[0]) : compare(a[0], b[0])));
    body.append(...rows.map((pair) => pair[1]));
  };
  for (const table of document.querySelectorAll("table")) {
    if (table.tBodies.length !== 1 || table.tBodies[0].rows.length < 2) continue;
    for (const heading of table.tHead.rows[0].cells) {
      if (!heading.textContent) continue;
      const press = button(heading.textContent, () => sort(table, heading));
      press.title = "Sort";
      heading.replaceChildren(press);
    }
  }

  // Rows that do not hold all the words are hidden; folded parts with such rows open.
  const search = (place, label, fold, hint = label) => {
    const input = make("input", "", { type: "search", placeholder: hint, "aria-label": label });
    const said = make("span", "", { class: "none", role: "status" });
    const rows = [...place.querySelectorAll("tbody tr")];
    const texts = new Map();
    let waiting;
    const run = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      const open = new Set();
      for (const row of rows) {
        if (words.length && !texts.has(row)) texts.set(row, row.textContent.toLowerCase());
        const fits = words.every((word) => texts.get(row).includes(word));
        row.hidden = !fits;
        if (!fits) continue;
        found += 1;
        for (let up = row.closest("details"); up; up = up.parentElement.closest("details")) open.add(up);
      }
      for (const part of place.querySelectorAll(".nested, .scroll")) {
        part.hidden = words.length > 0 && !part.querySelector("tbody tr:not([hidden])");
      }
      if (fold) {
        for (const details of place.querySelectorAll("details")) {
          details.hidden = words.length > 0 && !open.has(details);
          details.open = words.length > 0 && open.has(details);
        }
      }
      said.textContent = words.length ? `${found} of ${rows.length} rows` : "";
    };
    input.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(run, 120);
    });
    const tool = make("div", "", { class: "tool" });
    tool.append(input, said);
    return tool;
  };
  const facts = document.querySelector(".facts");
  if (facts) {
    const tool = search(facts, "Search the facts", true);
    const all = (open) => () => facts.querySelectorAll("details").forEach((details) => (details.open = open));
    tool.append(button("Open all", all(true)), button("Close all", all(false)));
    facts.before(tool);
  }
  for (const scroll of document.querySelectorAll("main .scroll")) {
    if (scroll.closest(".facts") || scroll.querySelectorAll("tbody tr").length < 15) continue;
    scroll.before(search(scroll, "Filter " + (scroll.querySelector("caption")?.textContent || "rows"), false, "Filter"));
  }

  // Commands can be taken along; where the browser refuses, they are selected.
  for (const pre of document.querySelectorAll("pre.command")) {
    const code = pre.firstElementChild;
    const said = (text) => {
      copy.textContent = text;
      setTimeout(() => (copy.textContent = "Copy"), 1500);
    };
    const copy = button("Copy", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        said("Copied");
      } catch {
        getSelection().selectAllChildren(code);
        said("Selected");
      }
    });
    pre.append(copy);
  }
})();
