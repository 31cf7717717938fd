"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const charts = JSON.parse(document.getElementById("data").textContent);
  const hidden = new Set();
  const NARROW = 620;
  const KEY_LINE = 18;
  const PAPER = 690; // pixels of a printed page's width
  let printing = false;

  const config = {
    displaylogo: false,
    displayModeBar: "hover",
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };

  /* A copy of a figure with every CSS variable replaced by its value. */
  function coloured(node, css) {
    if (typeof node === "string") {
      return node.replace(/var\((--[\w-]+)\)/g, (_, name) => css.getPropertyValue(name).trim());
    }
    if (Array.isArray(node)) {
      return typeof node[0] === "number" ? node : node.map((item) => coloured(item, css));
    }
    if (node && typeof node === "object") {
      return Object.fromEntries(Object.entries(node).map(([k, v]) => [k, coloured(v, css)]));
    }
    return node;
  }

  /* In a narrow chart the key stands below, and numbers beside the rows have no room. */
  function narrowed(layout) {
    let line = 0;
    const kept = layout.annotations.filter((a) => a.name !== "aside").map((a) => (
      a.xref === "paper" && a.x === 1
        ? { ...a, x: 0, xshift: -20, y: 0, yshift: -56 - KEY_LINE * line++ }
        : a
    ));
    const below = KEY_LINE * line;
    const margin = { ...layout.margin, r: 12, b: layout.margin.b + below };
    return { ...layout, annotations: kept, margin, height: layout.height + below };
  }

  function draw(box) {
    const chart = charts[box.dataset.chart];
    const plot = box.querySelector(".plot");
    const chosen = [...box.querySelectorAll("select")].map((s) => s.value).join("|");
    const figure = coloured(chart.figures[chosen], getComputedStyle(root));
    const width = printing ? PAPER : plot.clientWidth;
    const height = figure.layout.height * (printing ? 0.8 : 1); // three charts a page
    let layout = { ...figure.layout, width, height, autosize: false };
    const names = (width < NARROW && figure.narrow) || layout.annotations || [];
    layout.annotations = names.filter(
      (a) => !(a.name || "").startsWith("arm:") || !hidden.has(a.name.slice(4)),
    );
    if (width < NARROW) layout = narrowed(layout);
    const data = figure.data.map((t) => (t.meta && hidden.has(t.meta.arm) ? { ...t, visible: false } : t));
    plot.style.minHeight = "";
    box.querySelector(".note").textContent = figure.note;
    return Plotly.react(plot, data, layout, config);
  }

  const boxes = [...document.querySelectorAll(".chart")];
  const drawAll = () => boxes.forEach(draw);

  function theme() {
    root.classList.toggle("dark", dark.matches && !printing);
  }

  function filterFlips() {
    const menus = [...document.querySelectorAll("[data-filter] select")];
    const shown = [...document.querySelectorAll(".flips details")].filter((flip) => {
      flip.hidden = menus.some((menu) => menu.value && flip.dataset[menu.name] !== menu.value);
      return !flip.hidden;
    });
    document.querySelector("[data-filter] output").textContent = `${shown.length} shown`;
  }

  theme();
  boxes.forEach((box) => {
    box.querySelectorAll("select").forEach((s) => s.addEventListener("change", () => draw(box)));
    draw(box);
  });
  document.querySelectorAll(".legend button").forEach((button) => {
    button.addEventListener("click", () => {
      const arm = button.dataset.arm;
      if (!hidden.delete(arm)) hidden.add(arm);
      button.setAttribute("aria-pressed", String(!hidden.has(arm)));
      drawAll();
    });
  });
  document.querySelectorAll("[data-filter] select").forEach((s) => s.addEventListener("change", filterFlips));

  dark.addEventListener("change", () => { theme(); drawAll(); });
  let width = root.clientWidth;
  let timer = 0;
  addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!printing && root.clientWidth !== width) { width = root.clientWidth; drawAll(); }
    }, 150);
  });
  addEventListener("beforeprint", () => { printing = true; theme(); drawAll(); });
  addEventListener("afterprint", () => { printing = false; theme(); drawAll(); });
})();
