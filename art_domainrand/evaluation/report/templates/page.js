"use strict";
// The page is complete without this script: it only sorts tables, and unfolds the numbers of figures before printing.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const order = Array.from(body.rows);
  const status = table.closest("section").querySelector("[role=status]");
  for (const head of table.querySelectorAll("thead th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sort(head, button));
  }
  function sort(head, button) {
    const numbers = head.dataset.sort === "number";
    const before = head.getAttribute("aria-sort");
    // Numbers: lowest first, since what is weakest matters most. A third press restores the order of the table.
    const next = { none: "ascending", ascending: "descending", descending: "none" }[before];
    for (const other of table.querySelectorAll("thead th[aria-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", next);
    const key = (row) => {
      const cell = row.cells[head.cellIndex];
      return numbers ? parseFloat(cell.dataset.value) : cell.textContent.trim();
    };
    const compare = (a, b) => {
      if (!numbers) return a.localeCompare(b, "en", { numeric: true });
      // What has no number stands last, whichever way the others go.
      if (Number.isNaN(a) || Number.isNaN(b)) return (Number.isNaN(a) - Number.isNaN(b)) * (next === "ascending" ? 1 : -1);
      return a - b;
    };
    const rows = order.map((row) => ({ row, key: key(row) }));
    if (next !== "none") rows.sort((a, b) => (next === "ascending" ? 1 : -1) * compare(a.key, b.key));
    body.append(...rows.map((entry) => entry.row));
    if (status) {
      const words = next === "none" ? "in the order of the evaluation" : `by ${button.textContent.trim()}, ${next}`;
      status.textContent = `Table sorted ${words}`;
    }
  }
}
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not(.gallery *)")) folded.open = true;
});
